"""What a dynamic head does to all levels, in one launch each way.

Arguments that several kernels have:
    table: of the device, a row for each part of the work (a convolution, a segment), see `levels`; the first number of
        a row is the part's first program. ENTRIES is how many rows there are.
    C, D: channels of the rows that are read and made; a program takes BLOCK rows, CHANNEL_BLOCK channels at a time.
Sums over the rows of a segment are made by atomics, in no order. Offsets of rows are 64 bits wide.
"""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_bilinear import clip_to_map, corner_of
from swin_mmdet.ops.triton_fast_launch import fast_launch


@triton.jit
def _entry_of(table, program, ENTRIES: tl.constexpr, WIDTH: tl.constexpr):
    """Row of the table that a program works for, and which of its programs this is."""
    entry = program * 0 - 1
    for one in tl.static_range(ENTRIES):
        entry += (program >= tl.load(table + one * WIDTH)).to(tl.int32)
    return table + entry * WIDTH, program - tl.load(table + entry * WIDTH), entry


@triton.jit
def _sample(offsets, table, block, tap, batch, BLOCK: tl.constexpr, TAPS: tl.constexpr):
    """Of output pixels: which exist, row of the result, first row of the source's image, height and width of that map,
    what `clip_to_map` says of the location that the tap reads, its factor, and the indices in offsets of y, x and the
    factor's logit.
    """
    source, height, width = tl.load(table + 1), tl.load(table + 2), tl.load(table + 3)
    result, out_height, out_width = tl.load(table + 4), tl.load(table + 5), tl.load(table + 6)
    first, plane, stride = tl.load(table + 7), tl.load(table + 8), tl.load(table + 9)
    size = out_height * out_width
    pixel = block * BLOCK + tl.arange(0, BLOCK)
    here = pixel < batch * size
    image, index = pixel // size, pixel % size
    # number of this tap's value in the planes of the image's offsets, as a map of the result's size counts them
    row = (first + image * plane).to(tl.int64)
    number_y, number_x = 2 * tap * size + index, (2 * tap + 1) * size + index
    number_factor = tap * size + index
    at_y = (row + number_y % plane) * (3 * TAPS) + number_y // plane
    at_x = (row + number_x % plane) * (3 * TAPS) + number_x // plane
    at_factor = (row + number_factor % plane) * (3 * TAPS) + 2 * TAPS + number_factor // plane
    y = tl.load(offsets + at_y, mask=here, other=0.0).to(tl.float32)
    x = tl.load(offsets + at_x, mask=here, other=0.0).to(tl.float32)
    y += (index // out_width) * stride - 1 + tap // 3
    x += (index % out_width) * stride - 1 + tap % 3
    factor = tl.sigmoid(tl.load(offsets + at_factor, mask=here, other=0.0).to(tl.float32))
    inside, x, y, x0, y0 = clip_to_map(x, y, height, width, here)
    image_row = (source + image * height * width).to(tl.int64)
    row = (result + pixel).to(tl.int64)
    return here, row, image_row, height, width, inside, x, y, x0, y0, factor, at_y, at_x, at_factor


@fast_launch
@triton.jit(do_not_specialize=['batch'])
def columns_kernel(
    rows, offsets, table, columns, batch, C: tl.constexpr, ENTRIES: tl.constexpr, TAPS: tl.constexpr,
    CHANNEL_BLOCK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """columns [results, TAPS, C] = factor * bilinear(rows, location)."""
    tap = tl.program_id(1)
    entry, block, _ = _entry_of(table, tl.program_id(0), ENTRIES, 10)
    here, result, first, height, width, inside, x, y, x0, y0, factor, _, _, _ = _sample(
        offsets, entry, block, tap, batch, BLOCK, TAPS
    )
    for start in range(0, C, CHANNEL_BLOCK):
        channel = start + tl.arange(0, CHANNEL_BLOCK)
        exist = channel < C
        sums = tl.zeros((BLOCK, CHANNEL_BLOCK), dtype=tl.float32)
        for corner in tl.static_range(4):
            exists, index, share_x, share_y = corner_of(
                x, y, x0, y0, height, width, 0, inside, corner % 2, corner // 2
            )
            numbers = tl.load(
                rows + (first + index)[:, None] * C + channel, mask=exists[:, None] & exist, other=0.0
            ).to(tl.float32)
            sums += (factor * share_x * share_y)[:, None] * numbers
        tl.store(
            columns + (result * TAPS + tap)[:, None] * C + channel, sums.to(columns.dtype.element_ty),
            mask=here[:, None] & exist,
        )  # fmt: skip


@fast_launch
@triton.jit(do_not_specialize=['batch'])
def columns_backward_kernel(
    rows, offsets, table, dcolumns, drows, doffsets, batch, C: tl.constexpr, ENTRIES: tl.constexpr,
    TAPS: tl.constexpr, CHANNEL_BLOCK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """drows and doffsets, float32, are added to; with g of a corner = <dcolumns, rows>:

    d factor = sum of share * g; d x = factor * sum of share_y * (g right - g left); d y likewise.
    """
    tap = tl.program_id(1)
    entry, block, _ = _entry_of(table, tl.program_id(0), ENTRIES, 10)
    here, result, first, height, width, inside, x, y, x0, y0, factor, at_y, at_x, at_factor = _sample(
        offsets, entry, block, tap, batch, BLOCK, TAPS
    )
    dfactor = tl.zeros((BLOCK,), dtype=tl.float32)
    dx = tl.zeros((BLOCK,), dtype=tl.float32)
    dy = tl.zeros((BLOCK,), dtype=tl.float32)
    for start in range(0, C, CHANNEL_BLOCK):
        channel = start + tl.arange(0, CHANNEL_BLOCK)
        exist = channel < C
        given = tl.load(
            dcolumns + (result * TAPS + tap)[:, None] * C + channel, mask=here[:, None] & exist, other=0.0
        ).to(tl.float32)
        for corner in tl.static_range(4):
            exists, index, share_x, share_y = corner_of(
                x, y, x0, y0, height, width, 0, inside, corner % 2, corner // 2
            )
            at = (first + index)[:, None] * C + channel
            seen = exists[:, None] & exist
            product = tl.sum(given * tl.load(rows + at, mask=seen, other=0.0).to(tl.float32), 1)
            dfactor += share_x * share_y * product
            dx += product * share_y * (1 if corner % 2 else -1)
            dy += product * share_x * (1 if corner // 2 else -1)
            tl.atomic_add(drows + at, (factor * share_x * share_y)[:, None] * given, mask=seen, sem='relaxed')
    # three convolutions share the offsets of a level
    tl.atomic_add(doffsets + at_y, dy * factor, mask=inside, sem='relaxed')
    tl.atomic_add(doffsets + at_x, dx * factor, mask=inside, sem='relaxed')
    tl.atomic_add(doffsets + at_factor, dfactor * factor * (1 - factor), mask=inside, sem='relaxed')


@fast_launch
@triton.jit
def moments_kernel(
    rows, table, sums, D: tl.constexpr, ENTRIES: tl.constexpr, CHANNEL_BLOCK: tl.constexpr, BLOCK: tl.constexpr
):
    """sums [2, segments, D] += x - s and its square, s the segment's first row: near the mean nothing cancels."""
    entry, block, segment = _entry_of(table, tl.program_id(0), ENTRIES, 3)
    first, count = tl.load(entry + 1).to(tl.int64), tl.load(entry + 2)
    row = block * BLOCK + tl.arange(0, BLOCK)
    channel = tl.program_id(1) * CHANNEL_BLOCK + tl.arange(0, CHANNEL_BLOCK)
    exist = channel < D
    seen = (row < count)[:, None] & exist
    start = tl.load(rows + first * D + channel, mask=exist, other=0.0).to(tl.float32)
    x = tl.load(rows + (first + row)[:, None] * D + channel, mask=seen, other=0.0).to(tl.float32)
    x = tl.where(seen, x - start, 0.0)
    at = sums + segment * D + channel
    tl.atomic_add(at, tl.sum(x, 0), mask=exist, sem='relaxed')
    tl.atomic_add(at + ENTRIES * D, tl.sum(x * x, 0), mask=exist, sem='relaxed')


@fast_launch
@triton.jit
def lines_kernel(
    rows, table, slopes, constants, out, D: tl.constexpr, ENTRIES: tl.constexpr, CHANNEL_BLOCK: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """out = slope * x + constant, [segments, D] each."""
    entry, block, segment = _entry_of(table, tl.program_id(0), ENTRIES, 3)
    first, count = tl.load(entry + 1).to(tl.int64), tl.load(entry + 2)
    row = block * BLOCK + tl.arange(0, BLOCK)
    channel = tl.program_id(1) * CHANNEL_BLOCK + tl.arange(0, CHANNEL_BLOCK)
    exist = channel < D
    seen = (row < count)[:, None] & exist
    slope = tl.load(slopes + segment * D + channel, mask=exist, other=0.0)
    constant = tl.load(constants + segment * D + channel, mask=exist, other=0.0)
    at = (first + row)[:, None] * D + channel
    x = tl.load(rows + at, mask=seen, other=0.0).to(tl.float32)
    tl.store(out + at, (slope * x + constant).to(out.dtype.element_ty), mask=seen)


@triton.jit
def _blend_inputs(
    results, enlarged, coefficients, table, D: tl.constexpr, ENTRIES: tl.constexpr, CHANNEL_BLOCK: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """Indices of a program's rows in mid, low, the enlarged maps; which of them there are; their numbers; the index of
    the coefficients, and the eight of them.
    """
    entry, block, segment = _entry_of(table, tl.program_id(0), ENTRIES, 5)
    first, count = tl.load(entry + 1).to(tl.int64), tl.load(entry + 2)
    first_low, first_high = tl.load(entry + 3).to(tl.int64), tl.load(entry + 4).to(tl.int64)
    row = block * BLOCK + tl.arange(0, BLOCK)
    channel = tl.program_id(1) * CHANNEL_BLOCK + tl.arange(0, CHANNEL_BLOCK)
    exist = channel < D
    seen = (row < count)[:, None] & exist
    at_mid = (first + row)[:, None] * D + channel
    at_low = (first_low + row)[:, None] * D + channel
    at_high = (first_high + row)[:, None] * D + channel
    # a condition of rows: the interpreter of Triton 3.9 reads masks in which a lone number was compared wrongly
    low_seen = seen & (first_low + 0 * row >= 0)[:, None]
    high_seen = seen & (first_high + 0 * row >= 0)[:, None]
    mid = tl.load(results + at_mid, mask=seen, other=0.0).to(tl.float32)
    low = tl.load(results + at_low, mask=low_seen, other=0.0).to(tl.float32)
    high = tl.load(enlarged + at_high, mask=high_seen, other=0.0).to(tl.float32)
    own = segment * D + channel
    STEP: tl.constexpr = ENTRIES * D
    of_mid = tl.load(coefficients + own, mask=exist, other=0.0)
    of_low = tl.load(coefficients + STEP + own, mask=exist, other=0.0)
    of_high = tl.load(coefficients + 2 * STEP + own, mask=exist, other=0.0)
    plus = tl.load(coefficients + 3 * STEP + own, mask=exist, other=0.0)
    a1 = tl.load(coefficients + 4 * STEP + own, mask=exist, other=0.0)
    b1 = tl.load(coefficients + 5 * STEP + own, mask=exist, other=0.0)
    a2 = tl.load(coefficients + 6 * STEP + own, mask=exist, other=0.0)
    b2 = tl.load(coefficients + 7 * STEP + own, mask=exist, other=0.0)
    return (
        at_mid, at_low, at_high, exist, seen, low_seen, high_seen, mid, low, high, own, of_mid, of_low, of_high, plus,
        a1, b1, a2, b2,
    )  # fmt: skip


@fast_launch
@triton.jit
def blend_kernel(
    results, enlarged, coefficients, table, out, D: tl.constexpr, ENTRIES: tl.constexpr, CHANNEL_BLOCK: tl.constexpr,
    BLOCK: tl.constexpr,
):  # fmt: skip
    """out = max(a1 x + b1, a2 x + b2), x = m mid + l low + h high + p."""
    at_mid, _, _, _, seen, _, _, mid, low, high, _, of_mid, of_low, of_high, plus, a1, b1, a2, b2 = _blend_inputs(
        results, enlarged, coefficients, table, D, ENTRIES, CHANNEL_BLOCK, BLOCK
    )
    x = of_mid * mid + of_low * low + of_high * high + plus
    tl.store(out + at_mid, tl.maximum(a1 * x + b1, a2 * x + b2).to(out.dtype.element_ty), mask=seen)


@fast_launch
@triton.jit
def blend_backward_kernel(
    results, enlarged, coefficients, table, dout, dresults, denlarged, dcoefficients, D: tl.constexpr,
    ENTRIES: tl.constexpr, CHANNEL_BLOCK: tl.constexpr, BLOCK: tl.constexpr,
):  # fmt: skip
    """g1, g2 = dout where that line is the larger one, half of it each where both are; g = a1 g1 + a2 g2.

    d mid = m g, d m = sum of g mid, and so on; d p = sum of g; d a1 = sum of g1 x; d b1 = sum of g1.
    """
    (
        at_mid, at_low, at_high, exist, seen, low_seen, high_seen, mid, low, high, own, of_mid, of_low, of_high, plus,
        a1, b1, a2, b2,
    ) = _blend_inputs(results, enlarged, coefficients, table, D, ENTRIES, CHANNEL_BLOCK, BLOCK)  # fmt: skip
    x = of_mid * mid + of_low * low + of_high * high + plus
    given = tl.load(dout + at_mid, mask=seen, other=0.0).to(tl.float32)
    one, other = a1 * x + b1, a2 * x + b2
    g1 = tl.where(one > other, given, tl.where(one < other, 0.0, given / 2))
    g2 = given - g1
    g = a1 * g1 + a2 * g2
    tl.store(dresults + at_mid, (of_mid * g).to(dresults.dtype.element_ty), mask=seen)
    tl.store(dresults + at_low, (of_low * g).to(dresults.dtype.element_ty), mask=low_seen)
    tl.store(denlarged + at_high, (of_high * g).to(denlarged.dtype.element_ty), mask=high_seen)
    STEP: tl.constexpr = ENTRIES * D
    at = dcoefficients + own
    tl.atomic_add(at, tl.sum(g * mid, 0), mask=exist, sem='relaxed')
    tl.atomic_add(at + STEP, tl.sum(g * low, 0), mask=exist, sem='relaxed')
    tl.atomic_add(at + 2 * STEP, tl.sum(g * high, 0), mask=exist, sem='relaxed')
    tl.atomic_add(at + 3 * STEP, tl.sum(g, 0), mask=exist, sem='relaxed')
    tl.atomic_add(at + 4 * STEP, tl.sum(g1 * x, 0), mask=exist, sem='relaxed')
    tl.atomic_add(at + 5 * STEP, tl.sum(g1, 0), mask=exist, sem='relaxed')
    tl.atomic_add(at + 6 * STEP, tl.sum(g2 * x, 0), mask=exist, sem='relaxed')
    tl.atomic_add(at + 7 * STEP, tl.sum(g2, 0), mask=exist, sem='relaxed')
