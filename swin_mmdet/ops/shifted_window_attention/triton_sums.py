"""The last step of the gradients that sum over windows: of the bias table, the padding token and the cosine scale.

A row of `partial` is what one program of a backward kernel summed: of every pair of tokens [h, N, N], of the channels
of a token [3C], and of the cosine scale [h]. No atomics: the order of every sum is fixed, and so are its bits.
"""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_fast_launch import fast_launch


@triton.jit
def _sum_of_rows(places, inside, rows, stride, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Sum over the rows of a matrix, of the columns at `places` that are `inside`: [COLUMNS]."""
    total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for first in range(0, rows, ROWS):
        row = first + tl.arange(0, ROWS)
        found = places[None, :] + row.to(tl.int64)[:, None] * stride
        total += tl.load(found, mask=inside[None, :] & (row < rows)[:, None], other=0.0)
    return tl.sum(total, axis=0)


@fast_launch
@triton.jit(do_not_specialize=['programs'])
def sums_kernel(
    partial, dtable, dpad, dcosine_scale, programs, channels, WINDOW: tl.constexpr, PAIRS: tl.constexpr,
    SIDE: tl.constexpr, HEAD_DIM: tl.constexpr, SUMS: tl.constexpr, COSINE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """partial [programs, ...] -> dtable [(2 * WINDOW - 1)**2, h], dpad [3C], dcosine_scale [h].

    Program (i, head) writes the table's rows of the offset dy = i - (WINDOW - 1), the last i the other sums.
    """
    N: tl.constexpr = WINDOW * WINDOW
    part, head, heads = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    stride = heads * N * N + 3 * channels + heads
    if part < 2 * WINDOW - 1:
        dy = part - (WINDOW - 1)
        # pairs of a column of the queries and one of the keys
        pair = tl.arange(0, PAIRS)
        x, other = pair // WINDOW, pair % WINDOW
        total = tl.zeros((PAIRS,), dtype=tl.float32)
        for y in range(tl.maximum(dy, 0), tl.minimum(WINDOW + dy, WINDOW)):
            query, key = y * WINDOW + x, (y - dy) * WINDOW + other
            total += _sum_of_rows(
                partial + head * N * N + query * N + key, pair < WINDOW * WINDOW, programs, stride, ROWS, PAIRS
            )
        dx = tl.arange(0, SIDE)
        own = (pair < WINDOW * WINDOW)[:, None] & ((x - other + WINDOW - 1)[:, None] == dx[None, :])
        sums = tl.sum(tl.where(own, total[:, None], 0.0), axis=0)
        tl.store(dtable + (part * (2 * WINDOW - 1) + dx) * heads + head, sums, mask=dx < 2 * WINDOW - 1)
    else:
        partial += heads * N * N
        for kind in tl.static_range(3):
            channel = kind * channels + head * HEAD_DIM + tl.arange(0, HEAD_DIM)
            if SUMS == 'none':
                tl.store(dpad + channel, tl.zeros((HEAD_DIM,), dtype=tl.float32))
            else:
                inside = channel < 3 * channels
                tl.store(dpad + channel, _sum_of_rows(partial + channel, inside, programs, stride, ROWS, HEAD_DIM))
        if COSINE:
            one = tl.arange(0, 1)
            places = partial + 3 * channels + head + one
            tl.store(dcosine_scale + head + one, _sum_of_rows(places, one < 1, programs, stride, ROWS, 1))
