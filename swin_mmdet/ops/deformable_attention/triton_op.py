"""The Triton kernels as a PyTorch operator: shapes for tracing, gradients, and what it accepts."""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

from swin_mmdet.ops.triton_available import why_not_kernels

MAX_HEAD_DIM = 64


def why_not_triton(value: Tensor) -> str | None:
    """None when the kernels take this value, else the reason in words."""
    reason = why_not_kernels(value.device, value.dtype)
    if reason is None and value.shape[3] > MAX_HEAD_DIM:
        reason = f'head_dim={value.shape[3]} is more than {MAX_HEAD_DIM}'
    if reason is None and value.is_cuda and torch.are_deterministic_algorithms_enabled():
        reason = 'it adds up gradients in no fixed order, and deterministic algorithms are asked for'
    return reason


def triton_attention(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    coords: Tensor,
    scores: Tensor,
    reference_points: Tensor | None,
) -> Tensor:
    """The reference's formula in one kernel each way, shapes as there."""
    reference = None if reference_points is None else reference_points.contiguous()
    tensors = (value, spatial_shapes, level_start_index, coords, scores)
    # an operator takes PyTorch longer to call than a small kernel takes to run: only who traces needs one
    traced = torch.compiler.is_compiling() or type(value) is not Tensor or is_in_torch_dispatch_mode()
    run = _forward if traced else _DeformableAttention.apply
    return run(*(x.contiguous() for x in tensors), reference)


@torch.library.custom_op('swin_mmdet::deformable_attention', mutates_args=())
def _forward(
    value: Tensor, shapes: Tensor, starts: Tensor, coords: Tensor, scores: Tensor, reference: Tensor | None
) -> Tensor:
    from swin_mmdet.ops.deformable_attention.triton_launch import launch_forward

    return launch_forward(value, shapes, starts, coords, scores, reference)


@torch.library.custom_op('swin_mmdet::deformable_attention_backward', mutates_args=())
def _backward(
    dout: Tensor,
    out: Tensor,
    value: Tensor,
    shapes: Tensor,
    starts: Tensor,
    coords: Tensor,
    scores: Tensor,
    reference: Tensor | None,
    of_locations: bool,
) -> tuple[Tensor, Tensor, Tensor]:
    from swin_mmdet.ops.deformable_attention.triton_launch import launch_backward

    return launch_backward(dout, out, value, shapes, starts, coords, scores, reference, of_locations)


@_forward.register_fake
def _(value: Tensor, _shapes: Tensor, _starts: Tensor, coords: Tensor, *_: object) -> Tensor:
    return value.new_empty(coords.shape[0], coords.shape[1], value.shape[2] * value.shape[3])


@_backward.register_fake
def _(
    _dout: Tensor, _out: Tensor, value: Tensor, _shapes: Tensor, _starts: Tensor, coords: Tensor, scores: Tensor,
    _reference: Tensor | None, of_locations: bool,
) -> tuple[Tensor, Tensor, Tensor]:  # fmt: skip
    dcoords = torch.empty_like(coords, dtype=torch.float32 if of_locations else None)
    return torch.empty_like(value), dcoords, torch.empty_like(scores)


def _save(ctx: FunctionCtx, inputs: tuple[Tensor | None, ...], output: Tensor) -> None:
    ctx.save_for_backward(output, *inputs)


def _gradients(ctx: FunctionCtx, dout: Tensor, run: Callable) -> tuple[Tensor | None, ...]:
    out, value, shapes, starts, coords, scores, reference = ctx.saved_tensors
    moves = reference is not None and ctx.needs_input_grad[5]
    dvalue, dcoords, dscores = run(
        dout.contiguous(), out, value, shapes, starts, coords, scores, reference, moves
    )
    dreference = None
    if moves:
        dcoords, dreference = _through_reference(dcoords, shapes, coords, reference)
    return dvalue, None, None, dcoords, dscores, dreference


def _through_reference(dlocations: Tensor, shapes: Tensor, offsets: Tensor, reference: Tensor) -> tuple[Tensor, Tensor]:
    """Gradients of offsets and of reference points from those of the locations they make."""
    points = offsets.shape[4]
    if reference.shape[-1] == 2:
        doffsets, dreference = dlocations / shapes.flip(1)[:, None].clamp(min=1), dlocations.sum((2, 4))
    else:
        doffsets = dlocations * (reference[:, :, None, :, None, 2:].float() / (2 * points))
        dsize = (dlocations * offsets.float()).sum((2, 4)) / (2 * points)
        dreference = torch.cat([dlocations.sum((2, 4)), dsize], -1)
    return doffsets.to(offsets.dtype), dreference.to(reference.dtype)


_forward.register_autograd(lambda ctx, dout: _gradients(ctx, dout, _backward), setup_context=_save)


class _DeformableAttention(torch.autograd.Function):
    """The operator's forward and backward, without the operator."""

    @staticmethod
    def forward(ctx: FunctionCtx, *inputs: Tensor | None) -> Tensor:
        from swin_mmdet.ops.deformable_attention.triton_launch import launch_forward

        out = launch_forward(*inputs)
        _save(ctx, inputs, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dout: Tensor) -> tuple[Tensor | None, ...]:
        from swin_mmdet.ops.deformable_attention.triton_launch import launch_backward

        return _gradients(ctx, dout, launch_backward)
