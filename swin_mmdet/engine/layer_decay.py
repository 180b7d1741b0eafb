"""Learning rates that fall towards the input, for fine-tuning a strong backbone."""

import re

from mmengine.logging import print_log
from torch import nn

from swin_mmdet.engine.optim_wrapper_constructor import OptimWrapperConstructor
from swin_mmdet.registry import OPTIM_WRAPPER_CONSTRUCTORS

INPUT = re.compile(r'patch_embed\.|absolute_pos_embed$')
STAGE = re.compile(r'stages\.(\d+)\.(?:blocks\.(\d+)\.)?')


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayOptimWrapperConstructor(OptimWrapperConstructor):
    """`OptimWrapperConstructor` with layer-wise decay: `paramwise_cfg=dict(layer_decay_rate=0.9, ...)`.

    The learning rate of a parameter at depth d of a Swin backbone (V1 or V2, ours or mmdet's) with L blocks is
    multiplied by `layer_decay_rate ** (L + 1 - d)`, on top of what `custom_keys` and the rules for norms and biases
    say. Depths are those of SimMIM's fine-tuning (arXiv 2111.09886) and mmpretrain: 0 for patch and position
    embedding, 1..L for the blocks in their order, that of its stage's last block for a merging, L + 1 (rate 1) for
    the norms of the output maps, which start anew in a detector, and for everything outside the backbone.

    Raises:
        ValueError: no rate in (0, 1], or a model without a Swin backbone.
    """

    def _validate_cfg(self) -> None:
        super()._validate_cfg()
        rate = self.paramwise_cfg.get('layer_decay_rate')
        if not isinstance(rate, (int, float)) or not 0 < rate <= 1:
            raise ValueError(f'paramwise_cfg.layer_decay_rate={rate!r} must be a number in (0, 1]')

    def finish_groups(self, groups: list[dict], model: nn.Module) -> list[dict]:
        """The groups, one for each parameter, with learning rates scaled by depth."""
        rate = self.paramwise_cfg['layer_decay_rate']
        depths, last = parameter_depths(model)
        names = {id(parameter): name for name, parameter in model.named_parameters()}
        for group in groups:
            (parameter,) = group['params']
            group['lr'] = group.get('lr', self.base_lr) * rate ** (last - depths.get(names[id(parameter)], last))
        print_log(f'layer-wise decay {rate}: the learning rate is times {rate**last:.3g} at the patches, '
                  f'{rate:.3g} at the last of {last - 1} blocks, 1 in the heads', 'current')  # fmt: skip
        return groups


def parameter_depths(model: nn.Module) -> tuple[dict[str, int], int]:
    """Name -> depth of every parameter inside the model's Swin backbone but the norms of its maps, and the depth L + 1.

    Raises:
        ValueError: no Swin backbone, or several.
    """
    found = [(name, module) for name, module in model.named_modules() if _is_swin(module)]
    if len(found) != 1:
        raise ValueError(
            f'layer-wise decay needs a model with one Swin backbone, {type(model).__name__} has '
            f'{[f"{name} ({type(module).__name__})" for name, module in found] or "none"}'
        )
    ((prefix, backbone),) = found
    blocks = [len(stage.blocks) for stage in backbone.stages]
    depths = {}
    for name, _ in backbone.named_parameters(prefix):
        own = name[len(prefix) + 1 :] if prefix else name
        if INPUT.match(own):
            depths[name] = 0
        elif match := STAGE.match(own):
            stage, block = int(match[1]), match[2]
            depths[name] = sum(blocks[:stage]) + (blocks[stage] if block is None else int(block) + 1)
    return depths, sum(blocks) + 1


def _is_swin(module: nn.Module) -> bool:
    stages = getattr(module, 'stages', None)
    return (
        hasattr(module, 'patch_embed')
        and isinstance(stages, nn.ModuleList)
        and all(hasattr(stage, 'blocks') for stage in stages)
    )
