"""The Triton kernels of deformable convolution behind autograd, and what they accept."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from swin_mmdet.ops.deformable_convolution.geometry import Geometry
from swin_mmdet.ops.triton_available import why_not_kernels


def why_not_triton(input: Tensor) -> str | None:
    """None when the kernels take this input, else the reason in words."""
    reason = why_not_kernels(input.device, input.dtype)
    if reason is None and input.is_cuda and torch.are_deterministic_algorithms_enabled():
        reason = 'it adds up gradients in no fixed order, and deterministic algorithms are asked for'
    if reason is None and torch.compiler.is_compiling():
        reason = 'it is not traced'
    return reason


class _DeformableConvolution(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor | None,
        geometry: Geometry,
    ) -> Tensor:  # fmt: skip
        from swin_mmdet.ops.deformable_convolution.triton_launch import convolve

        ctx.save_for_backward(input, offset, mask, weight)
        ctx.geometry, ctx.bias_dtype = geometry, None if bias is None else bias.dtype
        return convolve(input, offset, mask, weight, bias, geometry)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dout: Tensor) -> tuple[Tensor | None, ...]:
        from swin_mmdet.ops.deformable_convolution.triton_launch import convolve_backward

        input, offset, mask, weight = ctx.saved_tensors
        gradients = convolve_backward(dout, input, offset, mask, weight, ctx.geometry)
        dbias = None
        if ctx.bias_dtype is not None:
            dbias = dout.sum((0, 2, 3), dtype=torch.float32).to(ctx.bias_dtype)
        return *gradients, dbias, None


def triton_convolution(
    input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """Columns by a kernel, then a matrix product; shapes as in `deformable_convolution`."""
    return _DeformableConvolution.apply(input, offset, mask, weight, bias, geometry)
