"""Shifted window attention in one kernel each way, for windows whose tokens fit one tile (WINDOW**2 <= BLOCK).

    s = scale * q k^T + bias + mask        p = softmax(s)        out = p v
    dv = p^T dout    dp = dout v^T    ds = p * (dp - rowsum(p * dp))    dq = scale * ds k    dk = scale * ds^T q

and with COSINE, where u and w are the directions of q and k, and c is the head's cosine scale:

    s = c * u w^T + bias + mask    du = c * ds w    dw = c * ds^T u    dc = sum(ds * u w^T) = sum(u * (ds w))

Padding, roll, partition, mask, reverse and crop are in the index arithmetic; p is made again in backward. A program
serves one head in several windows: it reads the bias once, and sums the gradients of the bias, of the padding token and
of the cosine scale over its windows before it writes them, each program to a row of its own, so that sums have one
order (`triton_sums.py` finishes them). Arguments are explained in `triton_window.py`.
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
def _load_qkv(base, pad, index, on_map, channels, HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr):
    """The head's queries, keys and values of every token of a window, each [BLOCK, HEAD_DIM]."""
    stride = 3 * channels
    q = load_tokens(base, pad, index, on_map, stride, HEAD_DIM, HAS_PAD)
    k = load_tokens(base + channels, pad + channels, index, on_map, stride, HEAD_DIM, HAS_PAD)
    v = load_tokens(base + 2 * channels, pad + 2 * channels, index, on_map, stride, HEAD_DIM, HAS_PAD)
    return q, k, v


@triton.jit
def _probabilities(q, k, bias, region, exists, scale, COSINE: tl.constexpr, PRECISION: tl.constexpr):
    """softmax(s) over the tokens of a window: [BLOCK, BLOCK] float32."""
    logits = logits_of(q, k, bias, region, tl.where(exists, region, -1), scale, COSINE, False, PRECISION)
    exponentials = exp(logits - tl.max(logits, axis=1)[:, None])
    return exponentials / tl.sum(exponentials, axis=1)[:, None]


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def forward_kernel(
    qkv, table, pad, cosine_scale, out, height, width, rows, columns, windows, windows_per_program, shift, channels,
    scale, WINDOW: tl.constexpr, BLOCK: tl.constexpr, HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr,
    COSINE: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """qkv -> out."""
    head, heads = tl.program_id(1), tl.num_programs(1)
    first = tl.program_id(0) * windows_per_program
    own = head * HEAD_DIM
    token = tl.arange(0, BLOCK)
    bias = load_bias(table + head, heads, token, token, WINDOW)
    scale = scale_of(cosine_scale, scale, head, COSINE)
    for window in range(first, tl.minimum(first + windows_per_program, windows)):
        index, exists, on_map, region = token_indices(window, token, height, width, rows, columns, shift, WINDOW)
        q, k, v = _load_qkv(qkv + own, pad + own, index, on_map, channels, HEAD_DIM, HAS_PAD)
        p = _probabilities(q, k, bias, region, exists, scale, COSINE, PRECISION)
        result = tl.dot(p.to(v.dtype), v, input_precision=PRECISION)
        store_tokens(out + own, index, on_map, channels, result, HEAD_DIM)


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def backward_kernel(
    qkv, table, pad, cosine_scale, dout, dqkv, out, pair_sums, token_sums, height, width, rows, columns, windows,
    windows_per_program, shift, channels, scale, WINDOW: tl.constexpr, BLOCK: tl.constexpr, HEAD_DIM: tl.constexpr,
    HAS_PAD: tl.constexpr, COSINE: tl.constexpr, SUMS: tl.constexpr, WITH_OUT: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dout -> dqkv, and of each program of axis 0 a row of pair_sums and token_sums.

    A padding token as a query has no output, so that its q has no gradient.
    """
    N: tl.constexpr = WINDOW * WINDOW
    program, head, heads = tl.program_id(0), tl.program_id(1), tl.num_programs(1)
    first = program * windows_per_program
    own = head * HEAD_DIM
    token = tl.arange(0, BLOCK)
    bias = load_bias(table + head, heads, token, token, WINDOW)
    scale = scale_of(cosine_scale, scale, head, COSINE)
    bias_sum = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    q_sum = tl.zeros((HEAD_DIM,), dtype=tl.float32)
    k_sum = tl.zeros((HEAD_DIM,), dtype=tl.float32)
    v_sum = tl.zeros((HEAD_DIM,), dtype=tl.float32)
    scale_sum = tl.zeros((BLOCK,), dtype=tl.float32)
    for window in range(first, tl.minimum(first + windows_per_program, windows)):
        index, exists, on_map, region = token_indices(window, token, height, width, rows, columns, shift, WINDOW)
        q, k, v = _load_qkv(qkv + own, pad + own, index, on_map, channels, HEAD_DIM, HAS_PAD)
        grad = load_tokens(dout + own, dout, index, on_map, channels, HEAD_DIM, False)
        p = _probabilities(q, k, bias, region, exists, scale, COSINE, PRECISION)
        if WITH_OUT:
            result = tl.dot(p.to(v.dtype), v, input_precision=PRECISION)
            store_tokens(out + own, index, on_map, channels, result, HEAD_DIM)
        dp = tl.dot(grad, tl.trans(v), input_precision=PRECISION)
        ds = p * (dp - tl.sum(p * dp, axis=1)[:, None])
        bias_sum += ds
        dv = tl.dot(tl.trans(p).to(grad.dtype), grad, input_precision=PRECISION)
        ds = ds.to(q.dtype)
        if COSINE:
            dq = tl.dot(ds, directions(k).to(k.dtype), input_precision=PRECISION)
            dk = tl.dot(tl.trans(ds), directions(q).to(q.dtype), input_precision=PRECISION)
            scale_sum += tl.sum(directions(q) * dq, axis=1)
            dq = through_length(scale * dq, q)
            dk = through_length(scale * dk, k)
        else:
            dq = scale * tl.dot(ds, k, input_precision=PRECISION)
            dk = scale * tl.dot(tl.trans(ds), q, input_precision=PRECISION)
        stride = 3 * channels
        store_tokens(dqkv + own, index, on_map, stride, dq, HEAD_DIM)
        store_tokens(dqkv + own + channels, index, on_map, stride, dk, HEAD_DIM)
        store_tokens(dqkv + own + 2 * channels, index, on_map, stride, dv, HEAD_DIM)
        if SUMS == 'all':
            q_sum += tl.sum(dq, axis=0)
            k_sum += tl.sum(dk, axis=0)
            v_sum += tl.sum(dv, axis=0)
        elif SUMS == 'padding':
            padding = (exists & ~on_map)[:, None]
            k_sum += tl.sum(tl.where(padding, dk, 0.0), axis=0)
            v_sum += tl.sum(tl.where(padding, dv, 0.0), axis=0)
    pointers = pair_sums + (program.to(tl.int64) * heads + head) * N * N + token[:, None] * N + token[None, :]
    tl.store(pointers, bias_sum, mask=(token < N)[:, None] & (token < N)[None, :])
    token_sums += program.to(tl.int64) * (3 * channels + heads)
    if SUMS != 'none':
        pointers = token_sums + own + tl.arange(0, HEAD_DIM)
        tl.store(pointers, q_sum)
        tl.store(pointers + channels, k_sum)
        tl.store(pointers + 2 * channels, v_sum)
    if COSINE:
        tl.store(token_sums + 3 * channels + head, tl.sum(scale_sum, axis=0))
