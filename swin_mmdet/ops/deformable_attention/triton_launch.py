"""Buffers and launches of the kernels of deformable attention: host code, no maths."""

import torch
import triton
from torch import Tensor

from swin_mmdet.ops.deformable_attention.triton_kernels import backward_kernel, forward_kernel
from swin_mmdet.ops.triton_fast_launch import on_device_of

# queries of a program, and warps: measured on an H200 at the encoder of DINO with five levels
FORWARD = BACKWARD = dict(BLOCK=8, num_warps=1)


def launch_forward(
    value: Tensor, shapes: Tensor, starts: Tensor, coords: Tensor, scores: Tensor, reference: Tensor | None
) -> Tensor:
    """[B, Q, h * d], of contiguous arguments as in `deformable_attention`."""
    batch, queries = coords.shape[:2]
    out = value.new_empty(batch, queries, value.shape[2] * value.shape[3])
    if out.numel():
        grid, sizes, constants = _plan(value, coords, reference, FORWARD['BLOCK'])
        with on_device_of(value):
            forward_kernel[grid](
                value, shapes, starts, coords, scores, _or_any(reference, value), out, *sizes, **constants, **FORWARD
            )
    return out


def launch_backward(
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
    """Gradients of value, of coords (`of_locations`: of the locations, in float32) and of scores."""
    dvalue = torch.zeros_like(value, dtype=torch.float32)
    dcoords = torch.empty_like(coords, dtype=torch.float32 if of_locations else None)
    dscores = torch.empty_like(scores)
    if out.numel():
        grid, sizes, constants = _plan(value, coords, reference, BACKWARD['BLOCK'])
        with on_device_of(value):
            backward_kernel[grid](
                value, shapes, starts, coords, scores, _or_any(reference, value), out, dout, dvalue, dcoords, dscores,
                *sizes, **constants, LOCATIONS=of_locations, **BACKWARD,
            )  # fmt: skip
    return dvalue.to(value.dtype), dcoords, dscores


def _or_any(reference: Tensor | None, value: Tensor) -> Tensor:
    """A kernel's argument is a tensor, also where it is not read."""
    return value if reference is None else reference


def _plan(
    value: Tensor, coords: Tensor, reference: Tensor | None, block: int
) -> tuple[tuple[int, int], tuple[int, int], dict[str, int]]:
    batch, pixels, heads, dim = value.shape
    queries, levels, points = coords.shape[1], coords.shape[3], coords.shape[4]
    constants = {
        'HEADS': heads,
        'DIM': dim,
        'DIM_BLOCK': triton.next_power_of_2(dim),
        'LEVELS': levels,
        'POINTS': points,
        'COUNT_BLOCK': triton.next_power_of_2(max(levels * points, 1)),
        'REFERENCE': 0 if reference is None else reference.shape[-1],
    }
    return (triton.cdiv(queries, block), batch * heads), (queries, pixels), constants
