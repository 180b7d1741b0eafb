"""The kernels behind autograd, and what they accept."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from swin_mmdet.ops.dynamic_head.levels import Levels
from swin_mmdet.ops.triton_available import why_not_kernels


def why_not_triton(rows: Tensor) -> str | None:
    """None when the kernels take these rows, else the reason in words."""
    reason = why_not_kernels(rows.device, rows.dtype)
    if reason is None and rows.is_cuda and torch.are_deterministic_algorithms_enabled():
        reason = 'it adds up in no fixed order, and deterministic algorithms are asked for'
    if reason is None and torch.compiler.is_compiling():
        reason = 'it is not traced'
    return reason


class _Convolve(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, levels: Levels, rows: Tensor, offsets: Tensor, *weights: Tensor) -> Tensor:
        from swin_mmdet.ops.dynamic_head.triton_launch import convolve

        ctx.save_for_backward(rows, offsets, *weights)
        ctx.levels = levels
        return convolve(rows, offsets, list(weights), levels)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dresults: Tensor) -> tuple[Tensor | None, ...]:
        from swin_mmdet.ops.dynamic_head.triton_launch import convolve_backward

        rows, offsets, *weights = ctx.saved_tensors
        drows, doffsets, dweights = convolve_backward(dresults.contiguous(), rows, offsets, weights, ctx.levels)
        return None, drows, doffsets, *dweights


class _Moments(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, rows: Tensor, segments: tuple[int, ...]) -> tuple[Tensor, Tensor]:
        from swin_mmdet.ops.dynamic_head.triton_launch import moments

        mean, variance = moments(rows, segments)
        ctx.save_for_backward(rows, mean)
        ctx.segments = segments
        return mean, variance

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dmean: Tensor, dvariance: Tensor) -> tuple[Tensor, None]:
        """d x = (d mean + 2 d variance (x - mean)) / count."""
        from swin_mmdet.ops.dynamic_head.levels import segments_table
        from swin_mmdet.ops.dynamic_head.triton_launch import ROWS, lines

        rows, mean = ctx.saved_tensors
        count = segments_table(ctx.segments, ROWS['BLOCK'], rows.device)[:, 2, None]
        slopes = 2 * dvariance / count
        return lines(rows, ctx.segments, slopes, dmean / count - slopes * mean), None


class _Blend(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, results: Tensor, enlarged: Tensor, coefficients: Tensor, levels: Levels
    ) -> Tensor:
        from swin_mmdet.ops.dynamic_head.triton_launch import blend

        ctx.save_for_backward(results, enlarged, coefficients)
        ctx.levels = levels
        return blend(results, enlarged, coefficients, levels)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dout: Tensor) -> tuple[Tensor | None, ...]:
        from swin_mmdet.ops.dynamic_head.triton_launch import blend_backward

        results, enlarged, coefficients = ctx.saved_tensors
        return *blend_backward(dout.contiguous(), results, enlarged, coefficients, ctx.levels), None


def convolve(rows: Tensor, offsets: Tensor, weights: list[Tensor], levels: Levels) -> Tensor:
    """As `convolve_levels`."""
    return _Convolve.apply(levels, rows.contiguous(), offsets.contiguous(), *weights)


def moments(rows: Tensor, segments: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """As `segment_moments`."""
    return _Moments.apply(rows.contiguous(), segments)


def blend(results: Tensor, enlarged: Tensor, coefficients: Tensor, levels: Levels) -> Tensor:
    """As `blend_levels`."""
    return _Blend.apply(results.contiguous(), enlarged.contiguous(), coefficients.contiguous(), levels)
