"""Shifted window attention for windows of more tokens than one tile: a tile of queries meets the keys tile by tile.

The formulas are those of `triton_kernels.py`. Forward keeps softmax's maximum and sum of each query while it goes over
the keys. Backward takes three kernels, for what is summed differs: `queries_kernel` goes over the keys twice, first as
forward does, then for dq; `keys_kernel` goes over the queries for dk and dv; `pairs_kernel` goes over windows for the
gradient of the bias. The first leaves for the others, of every query: max(s), 1 / sum(exp(s - max(s))), sum(p * dp).

Arguments are explained in `triton_window.py`. The table is [h, (2 * WINDOW - 1)**2] here: neighbours in a tile have
neighbours in it. Programs of axis 0 number the tiles of a window first, so that those which read the same tokens run
together.
"""

import triton
import triton.language as tl

from swin_mmdet.ops.shifted_window_attention.triton_window import (
    DYNAMIC,
    directions,
    exp,
    load_bias,
    load_tokens,
    logits_of,
    scale_of,
    store_tokens,
    through_length,
    token_indices,
)
from swin_mmdet.ops.triton_fast_launch import fast_launch


@triton.jit
def _attend(
    q, grad, query, query_region, window, qkv, pad, table, scale, height, width, rows, columns, shift, channels,
    WINDOW: tl.constexpr, OWN: tl.constexpr, OTHER: tl.constexpr, HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr,
    COSINE: tl.constexpr, WITH_OUT: tl.constexpr, WITH_ALONG: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """Of a tile of queries: out [OWN, HEAD_DIM] float32, max(s), sum(exp(s - max(s))) and sum(p * dp), each [OWN]."""
    highest = tl.full((OWN,), float('-inf'), dtype=tl.float32)
    total = tl.zeros((OWN,), dtype=tl.float32)
    along = tl.zeros((OWN,), dtype=tl.float32)
    out = tl.zeros((OWN, HEAD_DIM), dtype=tl.float32)
    for first in range(0, WINDOW * WINDOW, OTHER):
        key = first + tl.arange(0, OTHER)
        index, exists, on_map, region = token_indices(window, key, height, width, rows, columns, shift, WINDOW)
        stride = 3 * channels
        k = load_tokens(qkv + channels, pad + channels, index, on_map, stride, HEAD_DIM, HAS_PAD)
        v = load_tokens(qkv + 2 * channels, pad + 2 * channels, index, on_map, stride, HEAD_DIM, HAS_PAD)
        bias = load_bias(table, 1, query, key, WINDOW)
        s = logits_of(q, k, bias, query_region, tl.where(exists, region, -1), scale, COSINE, False, PRECISION)
        higher = tl.maximum(highest, tl.max(s, axis=1))
        # a query that saw no key yet: -inf less -inf would be NaN
        anchor = tl.where(higher == float('-inf'), 0.0, higher)
        exponentials = exp(s - anchor[:, None])
        fade = exp(highest - anchor)
        highest = higher
        total = total * fade + tl.sum(exponentials, axis=1)
        if WITH_OUT:
            out = out * fade[:, None] + tl.dot(exponentials.to(v.dtype), v, input_precision=PRECISION)
        if WITH_ALONG:
            dp = tl.dot(grad, tl.trans(v), input_precision=PRECISION)
            along = along * fade + tl.sum(exponentials * dp, axis=1)
    return out / total[:, None], highest, total, along / total


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def large_forward_kernel(
    qkv, table, pad, cosine_scale, out, height, width, rows, columns, windows, windows_per_program, shift, channels,
    scale, WINDOW: tl.constexpr, OWN: tl.constexpr, OTHER: tl.constexpr, HEAD_DIM: tl.constexpr,
    HAS_PAD: tl.constexpr, COSINE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """qkv -> out."""
    TILES: tl.constexpr = (WINDOW * WINDOW + OWN - 1) // OWN
    tile, head = tl.program_id(0) % TILES, tl.program_id(1)
    first = tl.program_id(0) // TILES * windows_per_program
    qkv, pad, out = qkv + head * HEAD_DIM, pad + head * HEAD_DIM, out + head * HEAD_DIM
    table += head * (2 * WINDOW - 1) * (2 * WINDOW - 1)
    scale = scale_of(cosine_scale, scale, head, COSINE)
    query = tile * OWN + tl.arange(0, OWN)
    for window in range(first, tl.minimum(first + windows_per_program, windows)):
        index, _, on_map, region = token_indices(window, query, height, width, rows, columns, shift, WINDOW)
        q = load_tokens(qkv, pad, index, on_map, 3 * channels, HEAD_DIM, HAS_PAD)
        result, _, _, _ = _attend(
            q, q, query, region, window, qkv, pad, table, scale, height, width, rows, columns, shift, channels, WINDOW,
            OWN, OTHER, HEAD_DIM, HAS_PAD, COSINE, True, False, PRECISION,
        )  # fmt: skip
        store_tokens(out, index, on_map, channels, result, HEAD_DIM)


@triton.jit
def _store_statistics(statistics, window, windows, head, query, highest, inverse, along, N: tl.constexpr):
    """Of every query: max(s), 1 / sum(exp(s - max(s))) and sum(p * dp)."""
    heads = tl.num_programs(1)
    pointers = statistics + (heads.to(tl.int64) * window + head) * N + query
    size = heads.to(tl.int64) * windows * N
    tl.store(pointers, highest, mask=query < N)
    tl.store(pointers + size, inverse, mask=query < N)
    tl.store(pointers + 2 * size, along, mask=query < N)


@triton.jit
def _load_statistics(statistics, window, windows, head, query, N: tl.constexpr):
    """What `_store_statistics` stored, such that p is 0 beyond the window."""
    heads = tl.num_programs(1)
    pointers = statistics + (heads.to(tl.int64) * window + head) * N + query
    size = heads.to(tl.int64) * windows * N
    highest = tl.load(pointers, mask=query < N, other=float('inf'))
    inverse = tl.load(pointers + size, mask=query < N, other=0.0)
    along = tl.load(pointers + 2 * size, mask=query < N, other=0.0)
    return highest, inverse, along


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def queries_kernel(
    qkv, table, pad, cosine_scale, dout, dqkv, out, statistics, token_sums, height, width, rows, columns, windows,
    windows_per_program, shift, channels, scale, WINDOW: tl.constexpr, OWN: tl.constexpr, OTHER: tl.constexpr,
    HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr, COSINE: tl.constexpr, SUMS: tl.constexpr, WITH_OUT: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """dout -> dq of dqkv, statistics, and their part of token_sums.

    A padding token as a query has no output, so that its q has no gradient.
    """
    N: tl.constexpr = WINDOW * WINDOW
    TILES: tl.constexpr = (N + OWN - 1) // OWN
    program, head, heads = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    first = program // TILES * windows_per_program
    own = head * HEAD_DIM
    qkv, pad, dout, dqkv, out = qkv + own, pad + own, dout + own, dqkv + own, out + own
    table += head * (2 * WINDOW - 1) * (2 * WINDOW - 1)
    scale = scale_of(cosine_scale, scale, head, COSINE)
    query = program % TILES * OWN + tl.arange(0, OWN)
    stride = 3 * channels
    q_sum = tl.zeros((HEAD_DIM,), dtype=tl.float32)
    scale_sum = tl.zeros((OWN,), dtype=tl.float32)
    for window in range(first, tl.minimum(first + windows_per_program, windows)):
        index, _, query_on_map, region = token_indices(window, query, height, width, rows, columns, shift, WINDOW)
        q = load_tokens(qkv, pad, index, query_on_map, stride, HEAD_DIM, HAS_PAD)
        grad = load_tokens(dout, dout, index, query_on_map, channels, HEAD_DIM, False)
        # sum(p * dp) as such and not as dout . out: where p is 1, the terms of ds then cancel to the last bit
        result, highest, total, along = _attend(
            q, grad, query, region, window, qkv, pad, table, scale, height, width, rows, columns, shift, channels,
            WINDOW, OWN, OTHER, HEAD_DIM, HAS_PAD, COSINE, WITH_OUT, True, PRECISION,
        )  # fmt: skip
        if WITH_OUT:
            store_tokens(out, index, query_on_map, channels, result, HEAD_DIM)
        inverse = 1 / total
        _store_statistics(statistics, window, windows, head, query, highest, inverse, along, N)
        dq = tl.zeros((OWN, HEAD_DIM), dtype=tl.float32)
        for first_key in range(0, N, OTHER):
            key = first_key + tl.arange(0, OTHER)
            indices, exists, on_map, key_region = token_indices(
                window, key, height, width, rows, columns, shift, WINDOW
            )
            k = load_tokens(qkv + channels, pad + channels, indices, on_map, stride, HEAD_DIM, HAS_PAD)
            v = load_tokens(qkv + 2 * channels, pad + 2 * channels, indices, on_map, stride, HEAD_DIM, HAS_PAD)
            bias = load_bias(table, 1, query, key, WINDOW)
            s = logits_of(q, k, bias, region, tl.where(exists, key_region, -1), scale, COSINE, False, PRECISION)
            p = exp(s - highest[:, None]) * inverse[:, None]
            ds = p * (tl.dot(grad, tl.trans(v), input_precision=PRECISION) - along[:, None])
            if COSINE:
                k = directions(k).to(k.dtype)
            dq += tl.dot(ds.to(k.dtype), k, input_precision=PRECISION)
        if COSINE:
            scale_sum += tl.sum(directions(q) * dq, axis=1)
            dq = through_length(scale * dq, q)
        else:
            dq = scale * dq
        store_tokens(dqkv, index, query_on_map, stride, dq, HEAD_DIM)
        if SUMS == 'all':
            q_sum += tl.sum(dq, axis=0)
    token_sums += program.to(tl.int64) * (3 * channels + heads)
    if SUMS != 'none':
        tl.store(token_sums + own + tl.arange(0, HEAD_DIM), q_sum)
    if COSINE:
        tl.store(token_sums + 3 * channels + head, tl.sum(scale_sum, axis=0))


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def keys_kernel(
    qkv, table, pad, cosine_scale, dout, dqkv, statistics, token_sums, height, width, rows, columns, windows,
    windows_per_program, shift, channels, scale, WINDOW: tl.constexpr, OWN: tl.constexpr, OTHER: tl.constexpr,
    HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr, COSINE: tl.constexpr, SUMS: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dout, statistics -> dk and dv of dqkv, and their part of token_sums."""
    N: tl.constexpr = WINDOW * WINDOW
    TILES: tl.constexpr = (N + OWN - 1) // OWN
    program, head, heads = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    first = program // TILES * windows_per_program
    own = head * HEAD_DIM
    qkv, pad, dout, dqkv = qkv + own, pad + own, dout + own, dqkv + own
    table += head * (2 * WINDOW - 1) * (2 * WINDOW - 1)
    scale = scale_of(cosine_scale, scale, head, COSINE)
    key = program % TILES * OWN + tl.arange(0, OWN)
    last = (2 * WINDOW - 1) * (2 * WINDOW - 1) - 1
    stride = 3 * channels
    k_sum = tl.zeros((HEAD_DIM,), dtype=tl.float32)
    v_sum = tl.zeros((HEAD_DIM,), dtype=tl.float32)
    for window in range(first, tl.minimum(first + windows_per_program, windows)):
        index, key_exists, key_on_map, key_region = token_indices(
            window, key, height, width, rows, columns, shift, WINDOW
        )
        key_region = tl.where(key_exists, key_region, -1)
        k = load_tokens(qkv + channels, pad + channels, index, key_on_map, stride, HEAD_DIM, HAS_PAD)
        v = load_tokens(qkv + 2 * channels, pad + 2 * channels, index, key_on_map, stride, HEAD_DIM, HAS_PAD)
        dk = tl.zeros((OWN, HEAD_DIM), dtype=tl.float32)
        dv = tl.zeros((OWN, HEAD_DIM), dtype=tl.float32)
        for first_query in range(0, N, OTHER):
            query = first_query + tl.arange(0, OTHER)
            indices, _, on_map, region = token_indices(window, query, height, width, rows, columns, shift, WINDOW)
            q = load_tokens(qkv, pad, indices, on_map, stride, HEAD_DIM, HAS_PAD)
            grad = load_tokens(dout, dout, indices, on_map, channels, HEAD_DIM, False)
            highest, inverse, along = _load_statistics(statistics, window, windows, head, query, N)
            # all of it transposed, for p^T and ds^T are the left sides of products; `load_bias` says why backwards
            bias = load_bias(table + last, -1, key, query, WINDOW)
            s = logits_of(q, k, bias, region, key_region, scale, COSINE, True, PRECISION)
            p = exp(s - highest[None, :]) * inverse[None, :]
            dv += tl.dot(p.to(grad.dtype), grad, input_precision=PRECISION)
            ds = p * (tl.dot(v, tl.trans(grad), input_precision=PRECISION) - along[None, :])
            if COSINE:
                q = directions(q).to(q.dtype)
            dk += tl.dot(ds.to(q.dtype), q, input_precision=PRECISION)
        if COSINE:
            dk = through_length(scale * dk, k)
        else:
            dk = scale * dk
        store_tokens(dqkv + channels, index, key_on_map, stride, dk, HEAD_DIM)
        store_tokens(dqkv + 2 * channels, index, key_on_map, stride, dv, HEAD_DIM)
        if SUMS == 'all':
            k_sum += tl.sum(dk, axis=0)
            v_sum += tl.sum(dv, axis=0)
        elif SUMS == 'padding':
            padding = (key_exists & ~key_on_map)[:, None]
            k_sum += tl.sum(tl.where(padding, dk, 0.0), axis=0)
            v_sum += tl.sum(tl.where(padding, dv, 0.0), axis=0)
    if SUMS != 'none':
        pointers = token_sums + program.to(tl.int64) * (3 * channels + heads) + own + tl.arange(0, HEAD_DIM)
        tl.store(pointers + channels, k_sum)
        tl.store(pointers + 2 * channels, v_sum)


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def pairs_kernel(
    qkv, table, pad, cosine_scale, dout, statistics, pair_sums, height, width, rows, columns, windows,
    windows_per_program, shift, channels, scale, WINDOW: tl.constexpr, OWN: tl.constexpr, OTHER: tl.constexpr,
    HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr, COSINE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dout, statistics -> pair_sums."""
    N: tl.constexpr = WINDOW * WINDOW
    QUERY_TILES: tl.constexpr = (N + OWN - 1) // OWN
    KEY_TILES: tl.constexpr = (N + OTHER - 1) // OTHER
    tile, head, heads = tl.program_id(0) % (QUERY_TILES * KEY_TILES), tl.program_id(1), tl.num_programs(1)
    program = tl.program_id(0) // (QUERY_TILES * KEY_TILES)
    first = program * windows_per_program
    own = head * HEAD_DIM
    qkv, pad, dout = qkv + own, pad + own, dout + own
    table += head * (2 * WINDOW - 1) * (2 * WINDOW - 1)
    scale = scale_of(cosine_scale, scale, head, COSINE)
    query = tile // KEY_TILES * OWN + tl.arange(0, OWN)
    key = tile % KEY_TILES * OTHER + tl.arange(0, OTHER)
    bias = load_bias(table, 1, query, key, WINDOW)
    stride = 3 * channels
    total = tl.zeros((OWN, OTHER), dtype=tl.float32)
    for window in range(first, tl.minimum(first + windows_per_program, windows)):
        indices, _, on_map, region = token_indices(window, query, height, width, rows, columns, shift, WINDOW)
        q = load_tokens(qkv, pad, indices, on_map, stride, HEAD_DIM, HAS_PAD)
        grad = load_tokens(dout, dout, indices, on_map, channels, HEAD_DIM, False)
        highest, inverse, along = _load_statistics(statistics, window, windows, head, query, N)
        indices, exists, on_map, key_region = token_indices(window, key, height, width, rows, columns, shift, WINDOW)
        k = load_tokens(qkv + channels, pad + channels, indices, on_map, stride, HEAD_DIM, HAS_PAD)
        v = load_tokens(qkv + 2 * channels, pad + 2 * channels, indices, on_map, stride, HEAD_DIM, HAS_PAD)
        s = logits_of(q, k, bias, region, tl.where(exists, key_region, -1), scale, COSINE, False, PRECISION)
        p = exp(s - highest[:, None]) * inverse[:, None]
        total += p * (tl.dot(grad, tl.trans(v), input_precision=PRECISION) - along[:, None])
    pointers = pair_sums + (program.to(tl.int64) * heads + head) * N * N + query[:, None] * N + key[None, :]
    tl.store(pointers, total, mask=(query < N)[:, None] & (key < N)[None, :])
