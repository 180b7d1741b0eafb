"""Shifted window attention in one kernel each way, for windows whose tokens fit one tile (N <= BLOCK).

With token t of window (y, x) at row (y * WINDOW + t // WINDOW + shift) mod Hp of the map, and a column likewise:

    s = scale * q k^T + bias + mask        p = softmax(s)        out = p v
    dv = p^T dout    dp = dout v^T    ds = p * (dp - rowsum(p * dp))    dq = scale * ds k    dk = scale * ds^T q

Padding, roll, partition, mask, reverse and crop are in the index arithmetic; p is made again in backward. A program
serves one head in several windows: it reads the bias once, and sums the gradients of the bias and of the padding token
over its windows before it writes them, each program to a place of its own, so that sums have one order.
"""

import triton
import triton.language as tl

# sizes of the map and of the grid change with every batch of a multi-scale training: no kernel is compiled for one
DYNAMIC = ['height', 'width', 'rows', 'columns', 'windows', 'windows_per_program', 'shift']


@triton.jit
def _places(window, height, width, rows, columns, shift, WINDOW: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr):
    """Of each token of a window: its index in the map [BLOCK] int64, whether it is one, is padding, and its region."""
    per_image = rows * columns
    image = window // per_image
    inside = window % per_image
    token = tl.arange(0, BLOCK)
    y = inside // columns * WINDOW + token // WINDOW
    x = inside % columns * WINDOW + token % WINDOW
    # which side of the cyclic seam the token came from, on each axis
    region = 2 * (y >= rows * WINDOW - shift).to(tl.int32) + (x >= columns * WINDOW - shift).to(tl.int32)
    y += shift
    y = tl.where(y >= rows * WINDOW, y - rows * WINDOW, y)
    x += shift
    x = tl.where(x >= columns * WINDOW, x - columns * WINDOW, x)
    exists = token < N
    on_map = exists & (y < height) & (x < width)
    index = (image.to(tl.int64) * height + y) * width + x
    return index, exists, on_map, region


@triton.jit
def _load_tokens(base, pad, index, exists, on_map, stride, HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr):
    """The head's channels of every token of a window [BLOCK, HEAD_DIM]; padding tokens hold the padding value."""
    channel = tl.arange(0, HEAD_DIM)
    values = tl.load(base + index[:, None] * stride + channel[None, :], mask=on_map[:, None], other=0.0)
    if HAS_PAD:
        padding = tl.load(pad + channel)
        values = tl.where((exists & ~on_map)[:, None], padding[None, :].to(values.dtype), values)
    return values


@triton.jit
def _load_qkv(base, pad, index, exists, on_map, channels, HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr):
    """The head's queries, keys and values of every token of a window, each [BLOCK, HEAD_DIM]."""
    stride = 3 * channels
    q = _load_tokens(base, pad, index, exists, on_map, stride, HEAD_DIM, HAS_PAD)
    k = _load_tokens(base + channels, pad + channels, index, exists, on_map, stride, HEAD_DIM, HAS_PAD)
    v = _load_tokens(base + 2 * channels, pad + 2 * channels, index, exists, on_map, stride, HEAD_DIM, HAS_PAD)
    return q, k, v


@triton.jit
def _probabilities(q, k, bias, region, exists, scale, PRECISION: tl.constexpr):
    """softmax(scale * q k^T + bias + mask) over the tokens of a window: [BLOCK, BLOCK] float32."""
    logits = scale * tl.dot(q, tl.trans(k), input_precision=PRECISION) + bias
    visible = exists[None, :] & (region[:, None] == region[None, :])
    # a row beyond the window sees every token of it, whatever comes out: a row of -inf would be NaN
    visible = visible | (~exists[:, None] & exists[None, :])
    logits = tl.where(visible, logits, float('-inf'))
    exponentials = tl.exp(logits - tl.max(logits, axis=1)[:, None])
    return exponentials / tl.sum(exponentials, axis=1)[:, None]


@triton.jit
def _load_bias(bias, head, N: tl.constexpr, BLOCK: tl.constexpr):
    """[BLOCK, BLOCK] float32 of one head."""
    token = tl.arange(0, BLOCK)
    inside = (token < N)[:, None] & (token < N)[None, :]
    places = bias + head * N * N + token[:, None] * N + token[None, :]
    return tl.load(places, mask=inside, other=0.0).to(tl.float32)


@triton.jit(do_not_specialize=DYNAMIC)
def forward_kernel(
    qkv, bias, pad, out, height, width, rows, columns, windows, windows_per_program, shift, channels, scale,
    WINDOW: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr, HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr,
    PRECISION: tl.constexpr,
):  # fmt: skip
    """qkv [B, H, W, 3C], bias [h, N, N], pad [3C] -> out [B, H, W, C]."""
    head = tl.program_id(1)
    first = tl.program_id(0) * windows_per_program
    own = head * HEAD_DIM
    tile = _load_bias(bias, head, N, BLOCK)
    channel = tl.arange(0, HEAD_DIM)
    for window in range(first, tl.minimum(first + windows_per_program, windows)):
        index, exists, on_map, region = _places(window, height, width, rows, columns, shift, WINDOW, N, BLOCK)
        q, k, v = _load_qkv(qkv + own, pad + own, index, exists, on_map, channels, HEAD_DIM, HAS_PAD)
        p = _probabilities(q, k, tile, region, exists, scale, PRECISION)
        result = tl.dot(p.to(v.dtype), v, input_precision=PRECISION)
        places = out + own + index[:, None] * channels + channel[None, :]
        tl.store(places, result.to(out.dtype.element_ty), mask=on_map[:, None])


@triton.jit(do_not_specialize=DYNAMIC)
def backward_kernel(
    qkv, bias, pad, dout, dqkv, dbias, dpad, height, width, rows, columns, windows, windows_per_program, shift,
    channels, scale, WINDOW: tl.constexpr, N: tl.constexpr, BLOCK: tl.constexpr, HEAD_DIM: tl.constexpr,
    HAS_PAD: tl.constexpr, PRECISION: tl.constexpr,
):  # fmt: skip
    """dout [B, H, W, C] -> dqkv [B, H, W, 3C], and for each program of axis 0 dbias [h, N, N] and dpad [2, C] (k, v).

    A padding token as a query has no output, so that its q has no gradient.
    """
    program, head = tl.program_id(0), tl.program_id(1)
    first = program * windows_per_program
    own = head * HEAD_DIM
    tile = _load_bias(bias, head, N, BLOCK)
    channel = tl.arange(0, HEAD_DIM)
    bias_sum = tl.zeros((BLOCK, BLOCK), dtype=tl.float32)
    k_sum = tl.zeros((HEAD_DIM,), dtype=tl.float32)
    v_sum = tl.zeros((HEAD_DIM,), dtype=tl.float32)
    for window in range(first, tl.minimum(first + windows_per_program, windows)):
        index, exists, on_map, region = _places(window, height, width, rows, columns, shift, WINDOW, N, BLOCK)
        q, k, v = _load_qkv(qkv + own, pad + own, index, exists, on_map, channels, HEAD_DIM, HAS_PAD)
        grad = _load_tokens(dout + own, dout, index, exists, on_map, channels, HEAD_DIM, False)
        p = _probabilities(q, k, tile, region, exists, scale, PRECISION)
        dp = tl.dot(grad, tl.trans(v), input_precision=PRECISION)
        ds = p * (dp - tl.sum(p * dp, axis=1)[:, None])
        bias_sum += ds
        dv = tl.dot(tl.trans(p).to(grad.dtype), grad, input_precision=PRECISION)
        ds = ds.to(q.dtype)
        dq = scale * tl.dot(ds, k, input_precision=PRECISION)
        dk = scale * tl.dot(tl.trans(ds), q, input_precision=PRECISION)
        places = dqkv + own + index[:, None] * 3 * channels + channel[None, :]
        kind = dqkv.dtype.element_ty
        tl.store(places, dq.to(kind), mask=on_map[:, None])
        tl.store(places + channels, dk.to(kind), mask=on_map[:, None])
        tl.store(places + 2 * channels, dv.to(kind), mask=on_map[:, None])
        if HAS_PAD:
            padding = (exists & ~on_map)[:, None]
            k_sum += tl.sum(tl.where(padding, dk, 0.0), axis=0)
            v_sum += tl.sum(tl.where(padding, dv, 0.0), axis=0)
    token = tl.arange(0, BLOCK)
    inside = (token < N)[:, None] & (token < N)[None, :]
    heads = tl.num_programs(1)
    places = dbias + (program * heads + head).to(tl.int64) * N * N + token[:, None] * N + token[None, :]
    tl.store(places, bias_sum, mask=inside)
    if HAS_PAD:
        places = dpad + program.to(tl.int64) * 2 * channels + own + channel
        tl.store(places, k_sum)
        tl.store(places + channels, v_sum)
