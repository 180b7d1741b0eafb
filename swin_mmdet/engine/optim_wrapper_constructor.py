"""The optimizer in few kernels: parameters of the same settings share a group, and the machine's fast ways are used."""

import torch
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn

from swin_mmdet.config import kind_name, type_name
from swin_mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS

# PyTorch's own optimizers with `fused`
FUSED = ('Adam', 'AdamW', 'SGD')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class OptimWrapperConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor, of the same arguments and settings of each parameter.

    - Parameters with the same settings are one group; with `paramwise_cfg` mmengine makes a group of each, and an
      optimizer starts its kernels for every group.
    - On a GPU the optimizer is `fused`, unless the config says `fused` or `foreach`.
    - `AmpOptimWrapper` computes in bf16 where the GPU has it, unless the config has a `dtype`.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        if torch.cuda.is_available():
            if kind_name(self.optimizer_cfg['type']) in FUSED and not {'fused', 'foreach'} & set(self.optimizer_cfg):
                self.optimizer_cfg['fused'] = True
            if type_name(self.optim_wrapper_cfg) == 'AmpOptimWrapper' and torch.cuda.is_bf16_supported():
                self.optim_wrapper_cfg.setdefault('dtype', 'bfloat16')
        return super().__call__(model)

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', **kwargs) -> None:
        """Groups of the module's parameters; those of the whole model are merged."""
        super().add_params(params, module, prefix=prefix, **kwargs)
        if not prefix:
            params[:] = merge_groups(self.finish_groups(params, module))

    def finish_groups(self, groups: list[dict], model: nn.Module) -> list[dict]:
        """For subclasses: the groups of all parameters, one each, before they are merged."""
        del model
        return groups


def merge_groups(groups: list[dict]) -> list[dict]:
    """One group for each combination of settings, in the order of their first parameters."""
    merged: dict[tuple, dict] = {}
    for group in groups:
        settings = {name: value for name, value in group.items() if name != 'params'}
        into = merged.setdefault(tuple(sorted(settings.items())), {'params': [], **settings})
        into['params'] += group['params']
    return list(merged.values())
