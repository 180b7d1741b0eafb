"""A residual sum whose branch is normalised first, as in SwinV2, in one kernel each way.

Forward, for every token, with v = branch + branch_bias: x = x + scale[image] * ((v - mean) * rstd * weight + bias), and
once more in the type of the matrix products. Backward, with d = scale[image] * dx, t = weight * d and
n = (v - mean) * rstd:

    dbranch = rstd * (t - mean(t) - n * mean(t * n))
    dweight = sum(d * n)    dbias = sum(d)    dbranch_bias = sum(dbranch)

where dx is the sum of the gradients of both results. Sums are taken as in `triton_norm_kernels.py`, which explains the
other arguments too; besides them there are

    low, dlow       as x           x_out in another type; not written unless HAS_LOW, not read unless HAS_DLOW
"""

import triton
import triton.language as tl

from swin_mmdet.ops.residual_branch.triton_norm_kernels import normalise, store_sums, through_norm
from swin_mmdet.ops.triton_fast_launch import fast_launch

DYNAMIC = ['rows', 'tiles_per_image', 'tiles']


@triton.jit
def _tile(tile, rows, tiles_per_image, column, C: tl.constexpr, ROWS: tl.constexpr):
    """Of a tile of one image: which image, its offsets [ROWS, COLUMNS], and which of them exist."""
    image = tile // tiles_per_image
    row = tile % tiles_per_image * ROWS + tl.arange(0, ROWS)
    inside = (row < rows)[:, None] & (column < C)[None, :]
    return image, image.to(tl.int64) * rows * C + row[:, None] * C + column[None, :], inside


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def post_norm_forward_kernel(
    x, branch, branch_bias, scale, weight, bias, x_out, low, rows, tiles_per_image, eps,
    C: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr, HAS_SCALE: tl.constexpr, HAS_LOW: tl.constexpr,
):  # fmt: skip
    """x, branch -> x_out, low."""
    column = tl.arange(0, COLUMNS)
    image, offsets, inside = _tile(tl.program_id(0), rows, tiles_per_image, column, C, ROWS)
    values = tl.load(branch + offsets, mask=inside, other=0.0).to(tl.float32)
    values += tl.load(branch_bias + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    normal, _ = normalise(values, column, eps, C)
    added = normal * tl.load(weight + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    added += tl.load(bias + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    if HAS_SCALE:
        added *= tl.load(scale + image)
    total = tl.load(x + offsets, mask=inside, other=0.0).to(tl.float32) + added
    tl.store(x_out + offsets, total.to(x_out.dtype.element_ty), mask=inside)
    if HAS_LOW:
        tl.store(low + offsets, total.to(low.dtype.element_ty), mask=inside)


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def post_norm_backward_kernel(
    branch, branch_bias, dx_out, dlow, scale, weight, dx, dbranch, sums, rows, tiles_per_image, tiles, eps,
    C: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr, HAS_SCALE: tl.constexpr, HAS_DX_OUT: tl.constexpr,
    HAS_DLOW: tl.constexpr,
):  # fmt: skip
    """dx_out, dlow -> dx, dbranch, sums."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    column = tl.arange(0, COLUMNS)
    gamma = tl.load(weight + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    shift = tl.load(branch_bias + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    weight_sum = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    bias_sum = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    branch_sum = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for tile in range(program, tiles, programs):
        image, offsets, inside = _tile(tile, rows, tiles_per_image, column, C, ROWS)
        values = tl.load(branch + offsets, mask=inside, other=0.0).to(tl.float32) + shift
        normal, rstd = normalise(values, column, eps, C)
        grad = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
        if HAS_DX_OUT:
            grad += tl.load(dx_out + offsets, mask=inside, other=0.0).to(tl.float32)
        if HAS_DLOW:
            grad += tl.load(dlow + offsets, mask=inside, other=0.0).to(tl.float32)
        tl.store(dx + offsets, grad.to(dx.dtype.element_ty), mask=inside)
        if HAS_SCALE:
            grad *= tl.load(scale + image)
        weight_sum += grad * normal
        bias_sum += grad
        grad *= gamma
        grad = through_norm(grad, normal, rstd, C)
        tl.store(dbranch + offsets, grad.to(dbranch.dtype.element_ty), mask=inside)
        branch_sum += tl.where(inside, grad, 0.0)
    store_sums(sums, column, weight_sum, bias_sum, branch_sum, C)
