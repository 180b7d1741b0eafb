"""Multiply-adds of matrix products and convolutions, counted while nothing is computed."""

from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
import torchvision  # noqa: F401  registers torch.ops.torchvision
from torch import Tensor, nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_map_only
from torch.utils.flop_counter import flop_registry

from swin_mmdet.analysis.parts import PartTracker
from swin_mmdet.models.window_attention import WindowAttention
from swin_mmdet.models.window_attention_v2 import WindowAttentionV2
from swin_mmdet.ops.windows import padded_size


def deform_conv_flop(input: Tensor, weight: Tensor, *args: Any, out_val: Tensor, **kwargs: Any) -> int:
    """Of the product with the sampled columns; the bilinear samples themselves are not counted."""
    del input, args, kwargs
    return 2 * out_val.numel() * weight[0].numel()


def bilinear_flop(*args: Any, out_val: Tensor, **kwargs: Any) -> int:
    """Four neighbours for each sample."""
    del args, kwargs
    return 2 * 4 * out_val.numel()


def embedding_bag_flop(weight: Tensor, indices: Tensor, *args: Any, out_val: tuple, **kwargs: Any) -> int:
    """Every index adds a row: deformable attention makes its samples so."""
    del args, out_val, kwargs
    return 2 * indices.numel() * weight.shape[1]


aten = torch.ops.aten
# of each operation, two for a multiply-add
FORMULAS_OF_OURS: dict[Any, Callable[..., int]] = {
    torch.ops.torchvision.deform_conv2d: deform_conv_flop,
    aten.grid_sampler_2d: bilinear_flop,
    aten._embedding_bag: embedding_bag_flop,
    aten._embedding_bag_forward_only: embedding_bag_flop,
}
FORMULAS = flop_registry | FORMULAS_OF_OURS
LINEAR = (aten.mm, aten.addmm)
# of two activations
PRODUCTS = (aten.bmm, aten.baddbmm, aten.grid_sampler_2d, aten._embedding_bag, aten._embedding_bag_forward_only)


class OperationCounter(TorchDispatchMode):
    """Inside it every operation of `FORMULAS` is counted, for the part at work, and gives zeros.

    `macs` are the multiply-adds of each part. `paper_macs` are those behind the tables of arXiv 2103.14030: tokens are
    padded before the qkv layer and cropped after the projection, as in the authors' code, while here both layers see
    the tokens of the map alone; products of two activations count in backbone and neck, not in heads with queries.
    """

    def __init__(self, tracker: PartTracker) -> None:
        super().__init__()
        self.tracker = tracker
        self.macs: Counter[str] = Counter()
        self.paper_macs: Counter[str] = Counter()
        # (tokens of the map, of the map padded to whole windows) of the attention at work
        self._tokens = (0, 0)

    @contextmanager
    def watch(self, model: nn.Module) -> Iterator['OperationCounter']:
        """Counting what the model does from here on."""
        attentions = [module for module in model.modules() if isinstance(module, (WindowAttention, WindowAttentionV2))]
        hooks = [
            hook
            for module in attentions
            for hook in (module.register_forward_pre_hook(self._enter), module.register_forward_hook(self._leave))
        ]
        fast_path = torch.backends.mha.get_fastpath_enabled()
        try:
            # fused attention has no formula on every device; as matrix products it has
            torch.backends.mha.set_fastpath_enabled(False)
            with sdpa_kernel(SDPBackend.MATH), self:
                yield self
        finally:
            torch.backends.mha.set_fastpath_enabled(fast_path)
            for hook in hooks:
                hook.remove()

    def _enter(self, attention: nn.Module, args: tuple[Tensor]) -> None:
        batch, height, width, _ = args[0].shape
        size = attention.window_size
        self._tokens = batch * height * width, batch * padded_size(height, size) * padded_size(width, size)

    def _leave(self, attention: nn.Module, args: tuple[Tensor], out: Tensor) -> None:
        del attention, args, out
        self._tokens = (0, 0)

    def __torch_dispatch__(self, func: Any, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        del types
        kwargs = kwargs or {}
        operation = func._overloadpacket
        formula = FORMULAS.get(operation)
        if formula is None:
            return func(*args, **kwargs)
        out = func(*tree_map_only(Tensor, lambda x: x.to('meta'), args), **kwargs)
        macs = formula(*args, **kwargs, out_val=out) // 2
        part = self.tracker.current
        self.macs[part] += macs
        self.paper_macs[part] += self._in_paper(operation, macs, out, part)
        device = next(x.device for x in args if isinstance(x, Tensor))
        return tree_map_only(Tensor, lambda x: torch.zeros_like(x, device=device), out)

    def _in_paper(self, operation: Callable, macs: int, out: Tensor, part: str) -> int:
        if operation in PRODUCTS and not part.startswith(('backbone', 'neck')):
            return 0
        tokens, padded = self._tokens
        if operation in LINEAR and tokens and len(out) == tokens:
            return macs * padded // tokens
        return macs
