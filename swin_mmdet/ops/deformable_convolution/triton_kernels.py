"""What a deformable convolution reads, as columns for a matrix product, and the gradients of that reading.

A program takes some output pixels, one tap of the kernel and one group of offsets. Inputs have channels innermost.
"""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_fast_launch import fast_launch

DYNAMIC = ['count', 'height', 'width', 'out_height', 'out_width']


@triton.jit
def _sample(
    offset, mask, pixel, here, tap, group, height, width, out_height, out_width, TAPS_X: tl.constexpr,
    TAPS: tl.constexpr, GROUPS: tl.constexpr, STRIDE_Y: tl.constexpr, STRIDE_X: tl.constexpr, PAD_Y: tl.constexpr,
    PAD_X: tl.constexpr, DILATION_Y: tl.constexpr, DILATION_X: tl.constexpr, MASKED: tl.constexpr,
):  # fmt: skip
    """Of output pixels: image, where the tap reads (y, x), whether that is on the map, its factor, and its number.

    The number is the sample's place in offset [B, GROUPS * TAPS * 2, h, w] and mask [B, GROUPS * TAPS, h, w].
    """
    size = out_height * out_width
    image, place = pixel // size, (pixel % size).to(tl.int32)
    sample = (image * GROUPS + group) * TAPS + tap
    y = tl.load(offset + sample * 2 * size + place, mask=here, other=0.0).to(tl.float32)
    x = tl.load(offset + (sample * 2 + 1) * size + place, mask=here, other=0.0).to(tl.float32)
    y += (place // out_width) * STRIDE_Y - PAD_Y + (tap // TAPS_X) * DILATION_Y
    x += (place % out_width) * STRIDE_X - PAD_X + (tap % TAPS_X) * DILATION_X
    factor = tl.zeros_like(y) + 1.0
    if MASKED:
        factor = tl.load(mask + sample * size + place, mask=here, other=0.0).to(tl.float32)
    # also false for what is no number
    inside = here & (y > -1) & (x > -1) & (y < height) & (x < width)
    return image, tl.where(inside, y, 0.0), tl.where(inside, x, 0.0), inside, factor, sample * size + place


@triton.jit
def _corner(x, y, x0, y0, height, width, inside, RIGHT: tl.constexpr, BELOW: tl.constexpr):
    """One of four pixels round a place: whether it exists, which it is of its image, and its share on each axis."""
    column, row = x0 + RIGHT, y0 + BELOW
    exists = inside & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    share_x = x - x0 if RIGHT else x0 + 1 - x
    share_y = y - y0 if BELOW else y0 + 1 - y
    return exists, row * width + column, share_x, share_y


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def columns_kernel(
    input, offset, mask, columns, count, height, width, out_height, out_width, CHANNELS: tl.constexpr,
    TAPS_X: tl.constexpr, TAPS: tl.constexpr, GROUPS: tl.constexpr, STRIDE_Y: tl.constexpr, STRIDE_X: tl.constexpr,
    PAD_Y: tl.constexpr, PAD_X: tl.constexpr, DILATION_Y: tl.constexpr, DILATION_X: tl.constexpr,
    MASKED: tl.constexpr, CHANNEL_BLOCK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """columns [N, TAPS, C] = mask * bilinear(input [B, H, W, C], place), N = B * h * w = count."""
    tap, group = tl.program_id(1) % TAPS, tl.program_id(1) // TAPS
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = pixel < count
    image, y, x, inside, factor, _ = _sample(
        offset, mask, pixel, here, tap, group, height, width, out_height, out_width, TAPS_X, TAPS, GROUPS, STRIDE_Y,
        STRIDE_X, PAD_Y, PAD_X, DILATION_Y, DILATION_X, MASKED,
    )  # fmt: skip
    y0, x0 = tl.floor(y).to(tl.int32), tl.floor(x).to(tl.int32)
    first = image * height * width
    OWN: tl.constexpr = CHANNELS // GROUPS
    for start in range(0, OWN, CHANNEL_BLOCK):
        channel = start + tl.arange(0, CHANNEL_BLOCK)
        exist = channel < OWN
        at = group * OWN + channel
        sums = tl.zeros((BLOCK, CHANNEL_BLOCK), dtype=tl.float32)
        for corner in tl.static_range(4):
            exists, where, share_x, share_y = _corner(x, y, x0, y0, height, width, inside, corner % 2, corner // 2)
            numbers = tl.load(
                input + (first + where)[:, None] * CHANNELS + at, mask=exists[:, None] & exist, other=0.0
            ).to(tl.float32)
            sums += (factor * share_x * share_y)[:, None] * numbers
        tl.store(
            columns + (pixel * TAPS + tap)[:, None] * CHANNELS + at, sums.to(columns.dtype.element_ty),
            mask=here[:, None] & exist,
        )  # fmt: skip


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
    tap, group = tl.program_id(1) % TAPS, tl.program_id(1) // TAPS
    pixel = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    here = pixel < count
    image, y, x, inside, factor, sample = _sample(
        offset, mask, pixel, here, tap, group, height, width, out_height, out_width, TAPS_X, TAPS, GROUPS, STRIDE_Y,
        STRIDE_X, PAD_Y, PAD_X, DILATION_Y, DILATION_X, MASKED,
    )  # fmt: skip
    y0, x0 = tl.floor(y).to(tl.int32), tl.floor(x).to(tl.int32)
    first = image * height * width
    dfactor = tl.zeros((BLOCK,), dtype=tl.float32)
    dx = tl.zeros((BLOCK,), dtype=tl.float32)
    dy = tl.zeros((BLOCK,), dtype=tl.float32)
    OWN: tl.constexpr = CHANNELS // GROUPS
    for start in range(0, OWN, CHANNEL_BLOCK):
        channel = start + tl.arange(0, CHANNEL_BLOCK)
        exist = channel < OWN
        at = group * OWN + channel
        given = tl.load(
            dcolumns + (pixel * TAPS + tap)[:, None] * CHANNELS + at, mask=here[:, None] & exist, other=0.0
        ).to(tl.float32)
        for corner in tl.static_range(4):
            exists, where, share_x, share_y = _corner(x, y, x0, y0, height, width, inside, corner % 2, corner // 2)
            place = (first + where)[:, None] * CHANNELS + at
            seen = exists[:, None] & exist
            found = tl.sum(given * tl.load(input + place, mask=seen, other=0.0).to(tl.float32), 1)
            dfactor += share_x * share_y * found
            dx += found * share_y * (1 if corner % 2 else -1)
            dy += found * share_x * (1 if corner // 2 else -1)
            tl.atomic_add(dinput + place, (factor * share_x * share_y)[:, None] * given, mask=seen, sem='relaxed')
    # sample = (place of the pair in offset) / 2 within its image and tap
    size = out_height * out_width
    at_y = sample + (sample // size) * size
    tl.store(doffset + at_y, tl.where(inside, dy * factor, 0.0).to(doffset.dtype.element_ty), mask=here)
    tl.store(doffset + at_y + size, tl.where(inside, dx * factor, 0.0).to(doffset.dtype.element_ty), mask=here)
    if MASKED:
        tl.store(dmask + sample, tl.where(inside, dfactor, 0.0).to(dmask.dtype.element_ty), mask=here)
