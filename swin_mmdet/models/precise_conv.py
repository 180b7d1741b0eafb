"""A convolution whose results are distances."""

from contextlib import nullcontext
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd.function import FunctionCtx, once_differentiable

from swin_mmdet.ops.tracing import is_traced


class PreciseConv2d(nn.Conv2d):
    """In float32 also under autocast: of distances in half, boxes of large objects are off by pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, D, H, W]."""
        dtype, device = torch.promote_types(self.weight.dtype, torch.float32), x.device.type
        bias = None if self.bias is None else self.bias.to(dtype)
        # the meta device has no autocast
        has_autocast = torch.amp.is_autocast_available(device)
        with torch.autocast(device, enabled=False) if has_autocast else nullcontext():
            weight = self.weight.to(dtype)
            if x.dtype == dtype or not torch.is_grad_enabled() or is_traced() or self._is_unusual():
                return self._conv_forward(x.to(dtype), weight, bias)
            return _Convolution.apply(x, weight, bias, self.stride, self.padding, self.dilation, self.groups)

    def _is_unusual(self) -> bool:
        return self.padding_mode != 'zeros' or isinstance(self.padding, str)


class _Convolution(torch.autograd.Function):
    """Keeps x as it is for the gradient, not in float32, which is twice as much."""

    @staticmethod
    def forward(
        ctx: FunctionCtx, x: Tensor, weight: Tensor, bias: Tensor | None, *geometry: Any
    ) -> Tensor:
        ctx.save_for_backward(x, weight)
        ctx.geometry, ctx.bias_sizes = geometry, None if bias is None else list(bias.shape)
        return F.conv2d(x.to(weight.dtype), weight, bias, *geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor | None, ...]:
        x, weight = ctx.saved_tensors
        stride, padding, dilation, groups = ctx.geometry
        wanted = [*ctx.needs_input_grad[:2], ctx.bias_sizes is not None and ctx.needs_input_grad[2]]
        of_x, of_weight, of_bias = torch.ops.aten.convolution_backward(
            grad, x.to(weight.dtype), weight, ctx.bias_sizes, stride, padding, dilation, False, [0, 0], groups, wanted
        )
        return None if of_x is None else of_x.to(x.dtype), of_weight, of_bias, None, None, None, None
