"""Forward and backward of deformable attention; a program takes some queries of one head of one image."""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_fast_launch import fast_launch

DYNAMIC = ['queries', 'pixels']


@triton.jit
def _softmax_terms(scores, rows, here, COUNT: tl.constexpr, PADDED: tl.constexpr):
    """Of rows of logits: the largest, and the sum of exponentials."""
    column = tl.arange(0, PADDED)
    logits = tl.load(
        scores + rows[:, None] * COUNT + column, mask=here[:, None] & (column < COUNT), other=float('-inf')
    ).to(tl.float32)
    # rows that are not there would be -inf minus -inf
    highest = tl.where(here, tl.max(logits, 1), 0.0)
    return highest, tl.where(here, tl.sum(tl.exp(logits - highest[:, None]), 1), 1.0)


@triton.jit
def _location(coords, reference, rows, points, here, width, height, POINTS: tl.constexpr, REFERENCE: tl.constexpr):
    """Of a point: x and y in pixels, from the middle of the first pixel on, and d (x, y) / d coords."""
    x = tl.load(coords + points * 2, mask=here, other=0.0).to(tl.float32)
    y = tl.load(coords + points * 2 + 1, mask=here, other=0.0).to(tl.float32)
    if REFERENCE == 0:
        scale_x, scale_y = width + 0 * x, height + 0 * y
        return x * width - 0.5, y * height - 0.5, scale_x, scale_y
    center_x = tl.load(reference + rows * REFERENCE, mask=here, other=0.0).to(tl.float32)
    center_y = tl.load(reference + rows * REFERENCE + 1, mask=here, other=0.0).to(tl.float32)
    if REFERENCE == 2:
        scale_x, scale_y = 1.0 + 0 * x, 1.0 + 0 * y
    else:
        scale_x = tl.load(reference + rows * 4 + 2, mask=here, other=0.0).to(tl.float32) * (0.5 / POINTS) * width
        scale_y = tl.load(reference + rows * 4 + 3, mask=here, other=0.0).to(tl.float32) * (0.5 / POINTS) * height
    return center_x * width + x * scale_x - 0.5, center_y * height + y * scale_y - 0.5, scale_x, scale_y


@triton.jit
def _corner(x, y, x0, y0, height, width, first, inside, RIGHT: tl.constexpr, BELOW: tl.constexpr):
    """One of four pixels round a location: whether it exists, which it is, and its bilinear share on each axis."""
    column, row = x0 + RIGHT, y0 + BELOW
    exists = inside & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    pixel = (first + row * width + column).to(tl.int64)
    share_x = x - x0 if RIGHT else x0 + 1 - x
    share_y = y - y0 if BELOW else y0 + 1 - y
    return exists, pixel, share_x, share_y


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def forward_kernel(
    value, shapes, starts, coords, scores, reference, out, queries, pixels, HEADS: tl.constexpr, DIM: tl.constexpr,
    DIM_BLOCK: tl.constexpr, LEVELS: tl.constexpr, POINTS: tl.constexpr, COUNT_BLOCK: tl.constexpr,
    REFERENCE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """out = sum over points of weight * bilinear(value, location), in float32.

    value [B, S, h, d], coords [B, Q, h, L, P, 2], scores [B, Q, h, L * P], reference [B, Q, L, REFERENCE] or none.
    """
    head, image = tl.program_id(1) % HEADS, (tl.program_id(1) // HEADS).to(tl.int64)
    query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = query < queries
    row = image * queries + query
    head_row = row * HEADS + head
    channel = tl.arange(0, DIM_BLOCK)
    value += (image * pixels * HEADS + head) * DIM + channel
    if REFERENCE > 0:
        highest, total = _softmax_terms(scores, head_row, here, LEVELS * POINTS, COUNT_BLOCK)
    sums = tl.zeros((BLOCK, DIM_BLOCK), dtype=tl.float32)
    for level in range(LEVELS):
        height, width = tl.load(shapes + level * 2).to(tl.int32), tl.load(shapes + level * 2 + 1).to(tl.int32)
        first = tl.load(starts + level).to(tl.int32)
        for point in range(POINTS):
            sample = head_row * (LEVELS * POINTS) + level * POINTS + point
            x, y, _, _ = _location(
                coords, reference, row * LEVELS + level, sample, here, width, height, POINTS, REFERENCE
            )
            weight = tl.load(scores + sample, mask=here, other=0.0).to(tl.float32)
            if REFERENCE > 0:
                weight = tl.exp(weight - highest) / total
            # also false for what is no number
            inside = here & (x > -1) & (y > -1) & (x < width) & (y < height)
            x, y = tl.where(inside, x, 0.0), tl.where(inside, y, 0.0)
            x0, y0 = tl.floor(x).to(tl.int32), tl.floor(y).to(tl.int32)
            for corner in tl.static_range(4):
                exists, pixel, share_x, share_y = _corner(
                    x, y, x0, y0, height, width, first, inside, corner % 2, corner // 2
                )
                numbers = tl.load(
                    value + pixel[:, None] * (HEADS * DIM), mask=exists[:, None] & (channel < DIM), other=0.0
                ).to(tl.float32)
                sums += (weight * share_x * share_y)[:, None] * numbers
    tl.store(
        out + head_row[:, None] * DIM + channel, sums.to(out.dtype.element_ty), mask=here[:, None] & (channel < DIM)
    )


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def backward_kernel(
    value, shapes, starts, coords, scores, reference, out, dout, dvalue, dcoords, dscores, queries, pixels,
    HEADS: tl.constexpr, DIM: tl.constexpr, DIM_BLOCK: tl.constexpr, LEVELS: tl.constexpr, POINTS: tl.constexpr,
    COUNT_BLOCK: tl.constexpr, REFERENCE: tl.constexpr, LOCATIONS: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """dvalue += weight * share * dout by atomics, in no order; with g of a corner = <dout, value>, and D = <dout, out>:

    d weight = sum of share * g; d logit = weight * (d weight - D); d x = weight * sum of share_y * (g right - g left).
    LOCATIONS: dcoords is of the locations in 0..1, not of offsets.
    """
    head, image = tl.program_id(1) % HEADS, (tl.program_id(1) // HEADS).to(tl.int64)
    query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    here = query < queries
    row = image * queries + query
    head_row = row * HEADS + head
    channel = tl.arange(0, DIM_BLOCK)
    exist = here[:, None] & (channel < DIM)
    value += (image * pixels * HEADS + head) * DIM + channel
    dvalue += (image * pixels * HEADS + head) * DIM + channel
    given = tl.load(dout + head_row[:, None] * DIM + channel, mask=exist, other=0.0).to(tl.float32)
    if REFERENCE > 0:
        highest, total = _softmax_terms(scores, head_row, here, LEVELS * POINTS, COUNT_BLOCK)
        made = tl.load(out + head_row[:, None] * DIM + channel, mask=exist, other=0.0).to(tl.float32)
        mean = tl.sum(given * made, 1)
    for level in range(LEVELS):
        height, width = tl.load(shapes + level * 2).to(tl.int32), tl.load(shapes + level * 2 + 1).to(tl.int32)
        first = tl.load(starts + level).to(tl.int32)
        for point in range(POINTS):
            sample = head_row * (LEVELS * POINTS) + level * POINTS + point
            x, y, scale_x, scale_y = _location(
                coords, reference, row * LEVELS + level, sample, here, width, height, POINTS, REFERENCE
            )
            weight = tl.load(scores + sample, mask=here, other=0.0).to(tl.float32)
            if REFERENCE > 0:
                weight = tl.exp(weight - highest) / total
            inside = here & (x > -1) & (y > -1) & (x < width) & (y < height)
            x, y = tl.where(inside, x, 0.0), tl.where(inside, y, 0.0)
            x0, y0 = tl.floor(x).to(tl.int32), tl.floor(y).to(tl.int32)
            dweight = tl.zeros((BLOCK,), dtype=tl.float32)
            dx = tl.zeros((BLOCK,), dtype=tl.float32)
            dy = tl.zeros((BLOCK,), dtype=tl.float32)
            for corner in tl.static_range(4):
                exists, pixel, share_x, share_y = _corner(
                    x, y, x0, y0, height, width, first, inside, corner % 2, corner // 2
                )
                at = pixel[:, None] * (HEADS * DIM)
                seen = exists[:, None] & (channel < DIM)
                found = tl.sum(given * tl.load(value + at, mask=seen, other=0.0).to(tl.float32), 1)
                dweight += share_x * share_y * found
                dx += found * share_y * (1 if corner % 2 else -1)
                dy += found * share_x * (1 if corner // 2 else -1)
                tl.atomic_add(dvalue + at, (weight * share_x * share_y)[:, None] * given, mask=seen, sem='relaxed')
            dweight = tl.where(inside, dweight, 0.0)
            if REFERENCE > 0:
                dweight = weight * (dweight - mean)
            if LOCATIONS:
                scale_x, scale_y = width + 0 * x, height + 0 * y
            dx = tl.where(inside, dx * weight * scale_x, 0.0)
            dy = tl.where(inside, dy * weight * scale_y, 0.0)
            tl.store(dscores + sample, dweight.to(dscores.dtype.element_ty), mask=here)
            tl.store(dcoords + sample * 2, dx.to(dcoords.dtype.element_ty), mask=here)
            tl.store(dcoords + sample * 2 + 1, dy.to(dcoords.dtype.element_ty), mask=here)
