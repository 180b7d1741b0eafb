"""Forward and backward of deformable attention; a program takes some queries of one head of one image.

Arguments of the kernels, in their order, all contiguous:

    value                [B, S, h, d]        the pixels of all levels in a row
    shapes, starts       [L, 2], [L]         height and width of each level, and its first pixel
    coords               [B, Q, h, L, P, 2]  (x, y): offsets from reference points, or without these locations in 0..1
    scores               [B, Q, h, L * P]    logits of the weights, or without reference points the weights
    reference            [B, Q, L, 2 or 4]   points, or boxes as center and size, in 0..1; not read where there are none
    out, dout            [B, Q, h, d]
    dvalue               [B, S, h, d]        float32, zeros at first: programs add to it
    dcoords, dscores     as coords, scores
    queries, pixels      Q, S

    HEADS, DIM, LEVELS, POINTS   h, d, L, P
    DIM_BLOCK, COUNT_BLOCK       powers of two with room for d and L * P
    REFERENCE                    numbers of a reference point, 0 where there are none
    LOCATIONS                    dcoords is of the locations in 0..1, not of the offsets from which they come
    BLOCK                        queries of a program
"""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_bilinear import clip_to_map, corner_of
from swin_mmdet.ops.triton_fast_launch import fast_launch

DYNAMIC = ['queries', 'pixels']


@triton.jit
def _own_queries(queries, HEADS: tl.constexpr, BLOCK: tl.constexpr):
    """A program's head and image, and of its queries: which exist, their rows in [B, Q], and in [B, Q, h]."""
    head, image = tl.program_id(1) % HEADS, (tl.program_id(1) // HEADS).to(tl.int64)
    query = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    row = image * queries + query
    return head, image, query < queries, row, row * HEADS + head


@triton.jit
def _softmax_terms(scores, rows, exists, COUNT: tl.constexpr, PADDED: tl.constexpr, REFERENCE: tl.constexpr):
    """Of rows of logits: the largest, and the sum of exponentials; of weights 0 and 1."""
    highest = tl.zeros_like(rows).to(tl.float32)
    total = highest + 1.0
    if REFERENCE > 0:
        column = tl.arange(0, PADDED)
        logits = tl.load(
            scores + rows[:, None] * COUNT + column, mask=exists[:, None] & (column < COUNT), other=float('-inf')
        ).to(tl.float32)
        # rows that are not there would be -inf minus -inf
        highest = tl.where(exists, tl.max(logits, 1), 0.0)
        total = tl.where(exists, tl.sum(tl.exp(logits - highest[:, None]), 1), 1.0)
    return highest, total


@triton.jit
def _level(shapes, starts, level):
    """Its height, its width and its first pixel."""
    height, width = tl.load(shapes + level * 2).to(tl.int32), tl.load(shapes + level * 2 + 1).to(tl.int32)
    return height, width, tl.load(starts + level).to(tl.int32)


@triton.jit
def _location(coords, reference, rows, samples, exists, width, height, POINTS: tl.constexpr, REFERENCE: tl.constexpr):
    """Of samples: x and y in pixels, from the middle of the first pixel on, and d (x, y) / d coords."""
    x = tl.load(coords + samples * 2, mask=exists, other=0.0).to(tl.float32)
    y = tl.load(coords + samples * 2 + 1, mask=exists, other=0.0).to(tl.float32)
    if REFERENCE == 0:
        scale_x, scale_y = width + 0 * x, height + 0 * y
        return x * width - 0.5, y * height - 0.5, scale_x, scale_y
    center_x = tl.load(reference + rows * REFERENCE, mask=exists, other=0.0).to(tl.float32)
    center_y = tl.load(reference + rows * REFERENCE + 1, mask=exists, other=0.0).to(tl.float32)
    if REFERENCE == 2:
        scale_x, scale_y = 1.0 + 0 * x, 1.0 + 0 * y
    else:
        scale_x = tl.load(reference + rows * 4 + 2, mask=exists, other=0.0).to(tl.float32) * (0.5 / POINTS) * width
        scale_y = tl.load(reference + rows * 4 + 3, mask=exists, other=0.0).to(tl.float32) * (0.5 / POINTS) * height
    return center_x * width + x * scale_x - 0.5, center_y * height + y * scale_y - 0.5, scale_x, scale_y


@triton.jit
def _weight(scores, samples, exists, highest, total, REFERENCE: tl.constexpr):
    """Of samples, with what `_softmax_terms` says of their rows."""
    weight = tl.load(scores + samples, mask=exists, other=0.0).to(tl.float32)
    if REFERENCE > 0:
        weight = tl.exp(weight - highest) / total
    return weight


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def forward_kernel(
    value, shapes, starts, coords, scores, reference, out, queries, pixels, HEADS: tl.constexpr, DIM: tl.constexpr,
    DIM_BLOCK: tl.constexpr, LEVELS: tl.constexpr, POINTS: tl.constexpr, COUNT_BLOCK: tl.constexpr,
    REFERENCE: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """out = sum over samples of weight * bilinear(value, location), in float32."""
    COUNT: tl.constexpr = LEVELS * POINTS
    head, image, exists, row, head_row = _own_queries(queries, HEADS, BLOCK)
    channel = tl.arange(0, DIM_BLOCK)
    value += (image * pixels * HEADS + head) * DIM + channel
    highest, total = _softmax_terms(scores, head_row, exists, COUNT, COUNT_BLOCK, REFERENCE)
    sums = tl.zeros((BLOCK, DIM_BLOCK), dtype=tl.float32)
    for level in range(LEVELS):
        height, width, first = _level(shapes, starts, level)
        for point in range(POINTS):
            sample = head_row * COUNT + level * POINTS + point
            x, y, _, _ = _location(
                coords, reference, row * LEVELS + level, sample, exists, width, height, POINTS, REFERENCE
            )
            weight = _weight(scores, sample, exists, highest, total, REFERENCE)
            inside, x, y, x0, y0 = clip_to_map(x, y, height, width, exists)
            for corner in tl.static_range(4):
                on_map, index, share_x, share_y = corner_of(
                    x, y, x0, y0, height, width, first, inside, corner % 2, corner // 2
                )
                pixel = value + index.to(tl.int64)[:, None] * (HEADS * DIM)
                numbers = tl.load(pixel, mask=on_map[:, None] & (channel < DIM), other=0.0).to(tl.float32)
                sums += (weight * share_x * share_y)[:, None] * numbers
    tl.store(
        out + head_row[:, None] * DIM + channel, sums.to(out.dtype.element_ty), mask=exists[:, None] & (channel < DIM)
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
    """
    COUNT: tl.constexpr = LEVELS * POINTS
    head, image, exists, row, head_row = _own_queries(queries, HEADS, BLOCK)
    channel = tl.arange(0, DIM_BLOCK)
    in_head = exists[:, None] & (channel < DIM)
    value += (image * pixels * HEADS + head) * DIM + channel
    dvalue += (image * pixels * HEADS + head) * DIM + channel
    grad = tl.load(dout + head_row[:, None] * DIM + channel, mask=in_head, other=0.0).to(tl.float32)
    highest, total = _softmax_terms(scores, head_row, exists, COUNT, COUNT_BLOCK, REFERENCE)
    if REFERENCE > 0:
        result = tl.load(out + head_row[:, None] * DIM + channel, mask=in_head, other=0.0).to(tl.float32)
        mean = tl.sum(grad * result, 1)
    for level in range(LEVELS):
        height, width, first = _level(shapes, starts, level)
        for point in range(POINTS):
            sample = head_row * COUNT + level * POINTS + point
            x, y, scale_x, scale_y = _location(
                coords, reference, row * LEVELS + level, sample, exists, width, height, POINTS, REFERENCE
            )
            weight = _weight(scores, sample, exists, highest, total, REFERENCE)
            inside, x, y, x0, y0 = clip_to_map(x, y, height, width, exists)
            dweight = tl.zeros((BLOCK,), dtype=tl.float32)
            dx = tl.zeros((BLOCK,), dtype=tl.float32)
            dy = tl.zeros((BLOCK,), dtype=tl.float32)
            for corner in tl.static_range(4):
                on_map, index, share_x, share_y = corner_of(
                    x, y, x0, y0, height, width, first, inside, corner % 2, corner // 2
                )
                offset = index.to(tl.int64)[:, None] * (HEADS * DIM)
                mask = on_map[:, None] & (channel < DIM)
                product = tl.sum(grad * tl.load(value + offset, mask=mask, other=0.0).to(tl.float32), 1)
                dweight += share_x * share_y * product
                dx += product * share_y * (1 if corner % 2 else -1)
                dy += product * share_x * (1 if corner // 2 else -1)
                tl.atomic_add(dvalue + offset, (weight * share_x * share_y)[:, None] * grad, mask=mask, sem='relaxed')
            dweight = tl.where(inside, dweight, 0.0)
            if REFERENCE > 0:
                dweight = weight * (dweight - mean)
            if LOCATIONS:
                scale_x, scale_y = width + 0 * x, height + 0 * y
            dx = tl.where(inside, dx * weight * scale_x, 0.0)
            dy = tl.where(inside, dy * weight * scale_y, 0.0)
            tl.store(dscores + sample, dweight.to(dscores.dtype.element_ty), mask=exists)
            tl.store(dcoords + sample * 2, dx.to(dcoords.dtype.element_ty), mask=exists)
            tl.store(dcoords + sample * 2 + 1, dy.to(dcoords.dtype.element_ty), mask=exists)
