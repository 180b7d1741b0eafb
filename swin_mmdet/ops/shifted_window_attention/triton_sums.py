"""The last step of the gradients that sum over windows: of the bias table, the padding token and the cosine scale.

A row of `pair_sums` [h, N, N] is what some windows give to every pair of tokens, a row of `token_sums` [3C + h] what
some tokens give to a token's channels and to the cosine scale. No atomics: the order of every sum is fixed, and so are
its bits. Arguments of the kernel:

    pair_sums, token_sums   [pair_rows, h, N, N], [token_rows, 3C + h]
    dtable                  [(2 * WINDOW - 1)**2, h]
    dpad                    [3C]; zeros where SUMS is 'none'
    dcosine_scale           [h]; not written unless COSINE
    channels                C

    WINDOW, HEAD_DIM, SUMS, COSINE   as in `triton_window.py`
    X, DX                            powers of two that hold a window's columns, and their offsets
    ROWS                             of the sums that are read at once
"""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_fast_launch import fast_launch


@triton.jit
def _sum_of_rows(base, stride, rows, columns, inside, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """Sum over the rows of a matrix, of those `columns` that are `inside`: [COLUMNS]."""
    total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for first in range(0, rows, ROWS):
        row = first + tl.arange(0, ROWS)
        pointers = base + row.to(tl.int64)[:, None] * stride + columns[None, :]
        total += tl.load(pointers, mask=inside[None, :] & (row < rows)[:, None], other=0.0)
    return tl.sum(total, axis=0)


@triton.jit
def _sum_pairs(
    pair_sums, dtable, dy, head, heads, rows, WINDOW: tl.constexpr, X: tl.constexpr, DX: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """Writes the rows of dtable for the offsets (dy, any dx) of a query from a key."""
    N: tl.constexpr = WINDOW * WINDOW
    # a query's column, and its offset from a key's
    slot = tl.arange(0, X * DX)
    x, dx = slot // DX, slot % DX - (WINDOW - 1)
    inside = (x < WINDOW) & (x - dx >= 0) & (x - dx < WINDOW)
    total = tl.zeros((X * DX,), dtype=tl.float32)
    for y in range(tl.maximum(dy, 0), tl.minimum(WINDOW + dy, WINDOW)):
        pair = (y * WINDOW + x) * N + (y - dy) * WINDOW + x - dx
        total += _sum_of_rows(pair_sums + head * N * N, heads * N * N, rows, pair, inside, ROWS, X * DX)
    offset = tl.arange(0, DX)
    pointers = dtable + ((dy + WINDOW - 1) * (2 * WINDOW - 1) + offset) * heads + head
    tl.store(pointers, tl.sum(tl.reshape(total, (X, DX)), axis=0), mask=offset < 2 * WINDOW - 1)


@triton.jit
def _sum_tokens(
    token_sums, dpad, dcosine_scale, head, heads, rows, channels, HEAD_DIM: tl.constexpr, SUMS: tl.constexpr,
    COSINE: tl.constexpr, ROWS: tl.constexpr,
):  # fmt: skip
    """Writes the head's part of dpad and dcosine_scale."""
    stride = 3 * channels + heads
    for kind in tl.static_range(3):
        channel = kind * channels + head * HEAD_DIM + tl.arange(0, HEAD_DIM)
        total = tl.zeros((HEAD_DIM,), dtype=tl.float32)
        if SUMS != 'none':
            total = _sum_of_rows(token_sums, stride, rows, channel, channel >= 0, ROWS, HEAD_DIM)
        tl.store(dpad + channel, total)
    if COSINE:
        own = head + tl.arange(0, 1)
        in_row = 3 * channels + own
        tl.store(dcosine_scale + own, _sum_of_rows(token_sums, stride, rows, in_row, in_row >= 0, ROWS, 1))


@fast_launch
@triton.jit(do_not_specialize=['pair_rows', 'token_rows'])
def sums_kernel(
    pair_sums, token_sums, dtable, dpad, dcosine_scale, pair_rows, token_rows, channels, WINDOW: tl.constexpr,
    X: tl.constexpr, DX: tl.constexpr, HEAD_DIM: tl.constexpr, SUMS: tl.constexpr, COSINE: tl.constexpr,
    ROWS: tl.constexpr,
):  # fmt: skip
    """pair_sums, token_sums -> dtable, dpad, dcosine_scale.

    Program (i, head) writes the table's rows of the offset dy = i - (WINDOW - 1), the last i the other sums.
    """
    part, head, heads = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    if part < 2 * WINDOW - 1:
        _sum_pairs(pair_sums, dtable, part - (WINDOW - 1), head, heads, pair_rows, WINDOW, X, DX, ROWS)
    else:
        _sum_tokens(token_sums, dpad, dcosine_scale, head, heads, token_rows, channels, HEAD_DIM, SUMS, COSINE, ROWS)
