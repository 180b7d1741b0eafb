"""What a deformable convolution reads, as columns for a matrix product, and the gradients of that reading.

A program takes some output pixels, one tap of the kernel and one group of offsets: a sample of each pixel. Arguments of
the kernels, in their order:

    input                   [B, H, W, C]                    channels innermost
    offset                  [B, GROUPS * TAPS * 2, h, w]    pairs (dy, dx)
    mask                    [B, GROUPS * TAPS, h, w]        a factor for each sample; not read unless MASKED
    columns, dcolumns       [N, TAPS, C]                    N = B * h * w
    dinput                  as input, float32               zeros at first: programs add to it
    doffset, dmask          as offset, mask
    count                   N
    height, width           H, W
    out_height, out_width   h, w

    CHANNELS, TAPS          C, and taps of the kernel, of which TAPS_X are in a row
    GROUPS                  of channels, each with offsets of its own
    STRIDE, PAD, DILATION   _Y and _X, of the convolution
    CHANNEL_BLOCK           channels of a group that are read at once
    BLOCK                   output pixels of a program
"""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_bilinear import clip_to_map, corner_of
from swin_mmdet.ops.triton_fast_launch import fast_launch

DYNAMIC = ['count', 'height', 'width', 'out_height', 'out_width']


@triton.jit
def _own_samples(
    offset, mask, count, height, width, out_height, out_width, TAPS_X: tl.constexpr, TAPS: tl.constexpr,
    GROUPS: tl.constexpr, STRIDE_Y: tl.constexpr, STRIDE_X: tl.constexpr, PAD_Y: tl.constexpr, PAD_X: tl.constexpr,
    DILATION_Y: tl.constexpr, DILATION_X: tl.constexpr, MASKED: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """A program's group, and of its samples: their rows in columns, and which exist.

    Then the first pixel of their image in input, what `clip_to_map` says of their locations, their factors, and their
    indices in mask.
    """
    tap, group = tl.program_id(1) % TAPS, tl.program_id(1) // TAPS
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    exists = pixel < count
    size = out_height * out_width
    image, own = pixel // size, (pixel % size).to(tl.int32)
    plane = (image * GROUPS + group) * TAPS + tap
    y = tl.load(offset + plane * 2 * size + own, mask=exists, other=0.0).to(tl.float32)
    x = tl.load(offset + (plane * 2 + 1) * size + own, mask=exists, other=0.0).to(tl.float32)
    y += (own // out_width) * STRIDE_Y - PAD_Y + (tap // TAPS_X) * DILATION_Y
    x += (own % out_width) * STRIDE_X - PAD_X + (tap % TAPS_X) * DILATION_X
    factor = tl.zeros_like(y) + 1.0
    if MASKED:
        factor = tl.load(mask + plane * size + own, mask=exists, other=0.0).to(tl.float32)
    inside, x, y, x0, y0 = clip_to_map(x, y, height, width, exists)
    first = image * height * width
    return group, pixel * TAPS + tap, exists, first, inside, x, y, x0, y0, factor, plane * size + own


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def columns_kernel(
    input, offset, mask, columns, count, height, width, out_height, out_width, CHANNELS: tl.constexpr,
    TAPS_X: tl.constexpr, TAPS: tl.constexpr, GROUPS: tl.constexpr, STRIDE_Y: tl.constexpr, STRIDE_X: tl.constexpr,
    PAD_Y: tl.constexpr, PAD_X: tl.constexpr, DILATION_Y: tl.constexpr, DILATION_X: tl.constexpr,
    MASKED: tl.constexpr, CHANNEL_BLOCK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """columns = mask * bilinear(input, location)."""
    group, row, exists, first, inside, x, y, x0, y0, factor, _ = _own_samples(
        offset, mask, count, height, width, out_height, out_width, TAPS_X, TAPS, GROUPS, STRIDE_Y, STRIDE_X, PAD_Y,
        PAD_X, DILATION_Y, DILATION_X, MASKED, BLOCK,
    )  # fmt: skip
    OWN: tl.constexpr = CHANNELS // GROUPS
    for start in range(0, OWN, CHANNEL_BLOCK):
        in_group = start + tl.arange(0, CHANNEL_BLOCK)
        channel = group * OWN + in_group
        sums = tl.zeros((BLOCK, CHANNEL_BLOCK), dtype=tl.float32)
        for corner in tl.static_range(4):
            on_map, index, share_x, share_y = corner_of(
                x, y, x0, y0, height, width, 0, inside, corner % 2, corner // 2
            )
            pointers = input + (first + index)[:, None] * CHANNELS + channel
            numbers = tl.load(pointers, mask=on_map[:, None] & (in_group < OWN), other=0.0).to(tl.float32)
            sums += (factor * share_x * share_y)[:, None] * numbers
        pointers = columns + row[:, None] * CHANNELS + channel
        tl.store(pointers, sums.to(columns.dtype.element_ty), mask=exists[:, None] & (in_group < OWN))


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def gradients_kernel(
    input, offset, mask, dcolumns, dinput, doffset, dmask, count, height, width, out_height, out_width,
    CHANNELS: tl.constexpr, TAPS_X: tl.constexpr, TAPS: tl.constexpr, GROUPS: tl.constexpr, STRIDE_Y: tl.constexpr,
    STRIDE_X: tl.constexpr, PAD_Y: tl.constexpr, PAD_X: tl.constexpr, DILATION_Y: tl.constexpr,
    DILATION_X: tl.constexpr, MASKED: tl.constexpr, CHANNEL_BLOCK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """dinput += mask * share * dcolumns (by atomics, in no order); with g of a corner = <dcolumns, input>:

    d mask = sum of share * g; d x = mask * sum of share_y * (g right - g left); d y likewise.
    """
    group, row, exists, first, inside, x, y, x0, y0, factor, sample = _own_samples(
        offset, mask, count, height, width, out_height, out_width, TAPS_X, TAPS, GROUPS, STRIDE_Y, STRIDE_X, PAD_Y,
        PAD_X, DILATION_Y, DILATION_X, MASKED, BLOCK,
    )  # fmt: skip
    dfactor = tl.zeros((BLOCK,), dtype=tl.float32)
    dx = tl.zeros((BLOCK,), dtype=tl.float32)
    dy = tl.zeros((BLOCK,), dtype=tl.float32)
    OWN: tl.constexpr = CHANNELS // GROUPS
    for start in range(0, OWN, CHANNEL_BLOCK):
        in_group = start + tl.arange(0, CHANNEL_BLOCK)
        channel = group * OWN + in_group
        pointers = dcolumns + row[:, None] * CHANNELS + channel
        grad = tl.load(pointers, mask=exists[:, None] & (in_group < OWN), other=0.0).to(tl.float32)
        for corner in tl.static_range(4):
            on_map, index, share_x, share_y = corner_of(
                x, y, x0, y0, height, width, 0, inside, corner % 2, corner // 2
            )
            offsets = (first + index)[:, None] * CHANNELS + channel
            seen = on_map[:, None] & (in_group < OWN)
            product = tl.sum(grad * tl.load(input + offsets, mask=seen, other=0.0).to(tl.float32), 1)
            dfactor += share_x * share_y * product
            dx += product * share_y * (1 if corner % 2 else -1)
            dy += product * share_x * (1 if corner // 2 else -1)
            tl.atomic_add(dinput + offsets, (factor * share_x * share_y)[:, None] * grad, mask=seen, sem='relaxed')
    # of a plane of mask there are two in offset: a sample's dy is `sample` plus the planes before, its dx one further
    size = out_height * out_width
    index_y = sample + (sample // size) * size
    tl.store(doffset + index_y, tl.where(inside, dy * factor, 0.0).to(doffset.dtype.element_ty), mask=exists)
    tl.store(doffset + index_y + size, tl.where(inside, dx * factor, 0.0).to(doffset.dtype.element_ty), mask=exists)
    if MASKED:
        tl.store(dmask + sample, tl.where(inside, dfactor, 0.0).to(dmask.dtype.element_ty), mask=exists)
