"""LayerNorm with what stands before and after it in a Swin Transformer, in one kernel each way.

Forward, for every token: x = x + scale[image] * (branch + branch_bias), y = (x - mean) * rstd * weight + bias.
Backward, with t = weight * dy and n = (x - mean) * rstd:

    dx += rstd * (t - mean(t) - n * mean(t * n))      dbranch = scale[image] * dx
    dweight = sum(dy * n)    dbias = sum(dy)    dbranch_bias = sum(dbranch)

Mean and rstd are made again from x, which is all that backward needs. Rows of x are tokens of one image at a time, so
that a tile has one scale; with MERGE a row is a 2x2 neighbourhood, zero outside the map. Y is [B, rows, C], or
[B, C, rows] with CHANNELS_FIRST. Sums over tokens are kept in registers, over many tiles, before one write for each
program to a row of its own, so that they have one order. Arguments of the kernels, in their order:

    x               [B, H, W, C]   the map, or with MERGE [B, H, W, C / 4]; in backward the sum with its branch
    branch          as x           not read unless HAS_BRANCH
    branch_bias     [C]            likewise
    scale           [B] float32    likewise, and unless HAS_SCALE
    weight, bias    [C]            of the norm
    x_out           as x           x with its branch; may be x; not written unless HAS_BRANCH
    y, dy           [B, rows, C]   or [B, C, rows]; in backward y is not written unless WITH_Y
    dx_out          as x           not read unless HAS_DX_OUT
    dx, dbranch     as x           the latter not written unless HAS_BRANCH
    sums            [programs, 3, C] float32: dweight, dbias, dbranch_bias
    rows            of y in an image
    height, width   H, W
    tiles_per_image, tiles         of ROWS rows; tiles in the whole batch
    eps             of the norm

    C, COLUMNS      columns of a row, and a power of two that holds them
    ROWS            of a tile
    MERGE, CHANNELS_FIRST, HAS_BRANCH, HAS_SCALE, HAS_DX_OUT, WITH_Y   as above
"""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_fast_launch import fast_launch

# sizes of the map and the batch change with every step of a multi-scale training: no kernel is compiled for one
DYNAMIC = ['rows', 'height', 'width', 'tiles_per_image', 'tiles']


@triton.jit
def _input_offsets(image, row, column, rows, height, width, C: tl.constexpr, MERGE: tl.constexpr):
    """Of a tile of x: its offsets in the image [R, COLUMNS], and which of them are on the map."""
    inside = (row < rows)[:, None] & (column < C)[None, :]
    if MERGE:
        # the official order of the four neighbours: (row, column) = (0, 0), (1, 0), (0, 1), (1, 1)
        part = column // (C // 4)
        columns = (width + 1) // 2
        y = 2 * (row // columns)[:, None] + (part % 2)[None, :]
        x = 2 * (row % columns)[:, None] + (part // 2)[None, :]
        offsets = (y * width + x) * (C // 4) + (column % (C // 4))[None, :]
        return image.to(tl.int64) * height * width * (C // 4), offsets, inside & (y < height) & (x < width)
    return image.to(tl.int64) * rows * C, row[:, None] * C + column[None, :], inside


@triton.jit
def _output_offsets(image, row, column, rows, C: tl.constexpr, CHANNELS_FIRST: tl.constexpr):
    """Of a tile of y: its offsets, and which of them exist."""
    inside = (row < rows)[:, None] & (column < C)[None, :]
    if CHANNELS_FIRST:
        return image.to(tl.int64) * rows * C, column[None, :] * rows + row[:, None], inside
    return image.to(tl.int64) * rows * C, row[:, None] * C + column[None, :], inside


@triton.jit
def normalise(values, column, eps, C: tl.constexpr):
    """(values - mean) * rstd over the C columns, zero beyond them, and rstd [R]."""
    mean = tl.sum(values, axis=1) / C
    centred = tl.where((column < C)[None, :], values - mean[:, None], 0.0)
    rstd = 1 / tl.sqrt(tl.sum(centred * centred, axis=1) / C + eps)
    return centred * rstd[:, None], rstd


@triton.jit
def through_norm(grad, normal, rstd, C: tl.constexpr):
    """The gradient of what was normalised from that of the result, zero beyond the C columns."""
    mean = tl.sum(grad, axis=1) / C
    projection = tl.sum(grad * normal, axis=1) / C
    return (grad - mean[:, None] - normal * projection[:, None]) * rstd[:, None]


@triton.jit
def store_sums(sums, column, weight_sum, bias_sum, branch_sum, C: tl.constexpr):
    """A program's row of `sums` [programs, 3, C]: dweight, dbias, dbranch_bias."""
    pointers = sums + tl.program_id(0) * 3 * C + column
    tl.store(pointers, tl.sum(weight_sum, axis=0), mask=column < C)
    tl.store(pointers + C, tl.sum(bias_sum, axis=0), mask=column < C)
    tl.store(pointers + 2 * C, tl.sum(branch_sum, axis=0), mask=column < C)


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def norm_forward_kernel(
    x, branch, branch_bias, scale, weight, bias, x_out, y, rows, height, width, tiles_per_image, eps,
    C: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr, MERGE: tl.constexpr, CHANNELS_FIRST: tl.constexpr,
    HAS_BRANCH: tl.constexpr, HAS_SCALE: tl.constexpr,
):  # fmt: skip
    image = tl.program_id(0) // tiles_per_image
    row = tl.program_id(0) % tiles_per_image * ROWS + tl.arange(0, ROWS)
    column = tl.arange(0, COLUMNS)
    start, offsets, inside = _input_offsets(image, row, column, rows, height, width, C, MERGE)
    values = tl.load(x + start + offsets, mask=inside, other=0.0).to(tl.float32)
    if HAS_BRANCH:
        added = tl.load(branch + start + offsets, mask=inside, other=0.0).to(tl.float32)
        added += tl.load(branch_bias + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
        if HAS_SCALE:
            added *= tl.load(scale + image)
        # rounded, for backward normalises what is stored
        values = (values + added).to(x_out.dtype.element_ty)
        tl.store(x_out + start + offsets, values, mask=inside)
        values = values.to(tl.float32)
    normal, _ = normalise(values, column, eps, C)
    result = normal * tl.load(weight + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    result += tl.load(bias + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    start, offsets, inside = _output_offsets(image, row, column, rows, C, CHANNELS_FIRST)
    tl.store(y + start + offsets, result.to(y.dtype.element_ty), mask=inside)


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def norm_backward_kernel(
    x, dy, dx_out, scale, weight, bias, dx, dbranch, y, sums, rows, height, width, tiles_per_image, tiles, eps,
    C: tl.constexpr, COLUMNS: tl.constexpr, ROWS: tl.constexpr, MERGE: tl.constexpr, CHANNELS_FIRST: tl.constexpr,
    HAS_DX_OUT: tl.constexpr, HAS_BRANCH: tl.constexpr, HAS_SCALE: tl.constexpr, WITH_Y: tl.constexpr,
):  # fmt: skip
    """dy, dx_out -> dx, dbranch, sums, and forward's y again."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    column = tl.arange(0, COLUMNS)
    gamma = tl.load(weight + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    beta = tl.load(bias + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    weight_sum = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    bias_sum = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    branch_sum = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for tile in range(program, tiles, programs):
        image = tile // tiles_per_image
        row = tile % tiles_per_image * ROWS + tl.arange(0, ROWS)
        start, offsets, inside = _input_offsets(image, row, column, rows, height, width, C, MERGE)
        result_start, result_offsets, exists = _output_offsets(image, row, column, rows, C, CHANNELS_FIRST)
        values = tl.load(x + start + offsets, mask=inside, other=0.0).to(tl.float32)
        grad = tl.load(dy + result_start + result_offsets, mask=exists, other=0.0).to(tl.float32)
        normal, rstd = normalise(values, column, eps, C)
        if WITH_Y:
            result = normal * gamma + beta
            tl.store(y + result_start + result_offsets, result.to(y.dtype.element_ty), mask=exists)
        weight_sum += grad * normal
        bias_sum += grad
        grad *= gamma
        grad = through_norm(grad, normal, rstd, C)
        if HAS_DX_OUT:
            grad += tl.load(dx_out + start + offsets, mask=inside, other=0.0).to(tl.float32)
        tl.store(dx + start + offsets, grad.to(dx.dtype.element_ty), mask=inside)
        if HAS_BRANCH:
            if HAS_SCALE:
                grad *= tl.load(scale + image)
            tl.store(dbranch + start + offsets, grad.to(dbranch.dtype.element_ty), mask=inside)
            branch_sum += tl.where(inside, grad, 0.0)
    store_sums(sums, column, weight_sum, bias_sum, branch_sum, C)
