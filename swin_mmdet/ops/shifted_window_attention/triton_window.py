"""What the Triton kernels share: a window's tokens in the map, their channels, and the logits of their pairs.

Arguments of the kernels, in their order, all contiguous; N is WINDOW**2, the tokens of a window:

    qkv            [B, H, W, 3C]              of every token, each C = h * HEAD_DIM channels, heads outermost
    table          [(2 * WINDOW - 1)**2, h]   the bias of each offset; in kernels of large windows [h, ...]
    pad            [3C]                       the qkv of a padding token; not read unless HAS_PAD
    cosine_scale   [h]                        in place of scale; not read unless COSINE
    dout, out      [B, H, W, C]               out is not written unless WITH_OUT
    dqkv           as qkv
    statistics     [3, windows, h, N]         float32, of every query: max(s), 1 / sum(exp(s - max(s))), sum(p * dp)
    pair_sums      [programs, h, N, N]        float32, each program's sums of ds over its windows
    token_sums     [programs, 3C + h]         float32, likewise of dqkv over tokens, and of the cosine scale's gradient
    height, width  H, W
    rows, columns  of windows in a map, that is ceil(H / WINDOW), ceil(W / WINDOW)
    windows        in all images: B * rows * columns
    windows_per_program
    shift          of the cyclic shift, in tokens
    channels       C
    scale          of the logits

    WINDOW         tokens on a window's side
    BLOCK          a power of two that holds N: the one tile of a small window
    OWN, OTHER     in large windows: the tokens of a program's tile, and of each tile that it goes over
    HEAD_DIM       channels of a head
    HAS_PAD        there are padding tokens, and they are not zeros
    COSINE         logits are cosines times cosine_scale
    SUMS           of dqkv: over 'all' tokens, over those of 'padding', or 'none'
    WITH_OUT       backward also makes forward's result
    PRECISION      of products of float32: 'ieee', or 'tf32' where the user lets them round their factors
"""

import triton
import triton.language as tl

# sizes of the map and of the grid change with every batch of a multi-scale training: no kernel is compiled for one
DYNAMIC = ['height', 'width', 'rows', 'columns', 'windows', 'windows_per_program', 'shift']
# F.normalize divides by at least this
SHORTEST: tl.constexpr = tl.constexpr(1e-12)
LOG2_E: tl.constexpr = tl.constexpr(1.4426950408889634)


@triton.jit
def row_and_column(token, WINDOW: tl.constexpr):
    """Where in its window a token is, 0 <= token < 2048, WINDOW <= 32."""
    # a product and a shift are exact here; a division, for any sign and size, takes several times as long
    row = token * (65536 // WINDOW + 1) >> 16
    return row, token - row * WINDOW


@triton.jit
def token_indices(window, token, height, width, rows, columns, shift, WINDOW: tl.constexpr):
    """Of the window's tokens [BLOCK]: their index in the map int64, whether they are one, are on it, and their region.

    Token t of window (y, x) is at row (y * WINDOW + t // WINDOW + shift) mod Hp of the map, and a column likewise.
    """
    exists = token < WINDOW * WINDOW
    # a token beyond the window has the region of the last: as a query it sees some key, for a row of -inf would be NaN
    y, x = row_and_column(tl.minimum(token, WINDOW * WINDOW - 1), WINDOW)
    per_image = rows * columns
    image = window // per_image
    window_y, window_x = window % per_image // columns, window % columns
    # which side of the cyclic seam the token came from, on each axis: the seam is in the last windows
    seam_y = tl.where(window_y == rows - 1, WINDOW - shift, WINDOW)
    seam_x = tl.where(window_x == columns - 1, WINDOW - shift, WINDOW)
    region = 2 * (y >= seam_y).to(tl.int32) + (x >= seam_x).to(tl.int32)
    y += window_y * WINDOW + shift
    y = tl.where(y >= rows * WINDOW, y - rows * WINDOW, y)
    x += window_x * WINDOW + shift
    x = tl.where(x >= columns * WINDOW, x - columns * WINDOW, x)
    on_map = exists & (y < height) & (x < width)
    index = (image.to(tl.int64) * height + y) * width + x
    return index, exists, on_map, region


@triton.jit
def load_tokens(base, pad, index, on_map, stride, HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr):
    """The head's channels of the tokens [BLOCK, HEAD_DIM]; tokens that are not on the map hold the padding value."""
    channel = tl.arange(0, HEAD_DIM)
    pointers = base + index[:, None] * stride + channel[None, :]
    values = tl.load(pointers, mask=on_map[:, None], other=0.0)
    if HAS_PAD:
        padding = tl.load(pad + channel).to(base.dtype.element_ty)
        values = tl.where(on_map[:, None], values, padding[None, :])
    return values


@triton.jit
def store_tokens(base, index, on_map, stride, values, HEAD_DIM: tl.constexpr):
    """Write the head's channels of the tokens [BLOCK, HEAD_DIM]; padding tokens have none."""
    channel = tl.arange(0, HEAD_DIM)
    pointers = base + index[:, None] * stride + channel[None, :]
    tl.store(pointers, values.to(base.dtype.element_ty), mask=on_map[:, None])


@triton.jit
def load_bias(table, stride, query, key, WINDOW: tl.constexpr):
    """The bias of every pair of tokens, from a head's column of the table: [QUERIES, KEYS] float32.

    With f(t) = (2 * WINDOW - 1) * t_y + t_x for a token t, and m for the middle row, that of no offset, a pair's row is

        row(query, key) = m + f(query) - f(key),    m = 2 * WINDOW * (WINDOW - 1),    the last row = 2 * m.

    Read backwards from the last row, and with queries and keys exchanged, the table gives the transpose:

        2 * m - row(key, query) = 2 * m - (m + f(key) - f(query)) = m + f(query) - f(key) = row(query, key).

    A window of 2 x 2 has m = 4 and f = 0, 1, 3, 4. The row of query (1, 0) and key (0, 1) is 4 + 3 - 1 = 6, and so is
    8 - (4 + 1 - 3).
    """
    query_y, query_x = row_and_column(tl.minimum(query, WINDOW * WINDOW - 1), WINDOW)
    key_y, key_x = row_and_column(tl.minimum(key, WINDOW * WINDOW - 1), WINDOW)
    row = query_y * (2 * WINDOW - 1) + query_x + 2 * WINDOW * (WINDOW - 1)
    column = key_y * (2 * WINDOW - 1) + key_x
    return tl.load((table + row * stride)[:, None] - (column * stride)[None, :]).to(tl.float32)


@triton.jit
def scale_of(cosine_scale, scale, head, COSINE: tl.constexpr):
    """The head's scale of the logits."""
    if COSINE:
        scale = tl.load(cosine_scale + head).to(tl.float32)
    return scale


@triton.jit
def lengths(x):
    """max(|x|, SHORTEST) of every token: [BLOCK, HEAD_DIM] -> [BLOCK] float32."""
    x = x.to(tl.float32)
    return tl.maximum(tl.sqrt_rn(tl.sum(x * x, axis=1)), SHORTEST)


@triton.jit
def directions(x):
    """x / |x| of every token: [BLOCK, HEAD_DIM] float32."""
    length = lengths(x)[:, None]
    if x.dtype == tl.float32:
        # rounded once, for the scale makes the error up to 100 times larger; a plain quotient may be two units off
        return tl.div_rn(x, tl.broadcast_to(length, x.shape))
    return x.to(tl.float32) / length


@triton.jit
def logits_of(
    q, k, bias, q_region, k_region, scale, COSINE: tl.constexpr, TRANSPOSED: tl.constexpr, PRECISION: tl.constexpr
):
    """scale times the products or, with COSINE, the cosines, plus bias and mask: [QUERIES, KEYS] float32.

    Tokens of different regions do not see each other; a key that is none has a region of its own. With TRANSPOSED bias
    and result are [KEYS, QUERIES], of the same numbers to the last bit: sums of one kernel serve in another.
    """
    if COSINE and q.dtype == tl.float32:
        q, k = scale * directions(q), directions(k)
    if TRANSPOSED:
        logits = tl.dot(k, tl.trans(q), input_precision=PRECISION)
        visible = k_region[:, None] == q_region[None, :]
    else:
        logits = tl.dot(q, tl.trans(k), input_precision=PRECISION)
        visible = q_region[:, None] == k_region[None, :]
    if not COSINE:
        logits = scale * logits
    elif q.dtype != tl.float32:
        # lengths only now, for directions in half would be rounded once more
        by_query, by_key = scale / lengths(q), 1 / lengths(k)
        if TRANSPOSED:
            logits = logits * by_query[None, :] * by_key[:, None]
        else:
            logits = logits * by_query[:, None] * by_key[None, :]
    return tl.where(visible, logits + bias, float('-inf'))


@triton.jit
def exp(x):
    """e**x. Half the instructions of `tl.exp`, which is exact for results that are no normal numbers."""
    return tl.exp2(x * LOG2_E)


@triton.jit
def through_length(grad, x):
    """The gradient of x from that of its direction u = x / |x|: (du - u (u . du)) / |x|, each [BLOCK, HEAD_DIM]."""
    length, direction = lengths(x), directions(x)
    along = tl.sum(direction * grad, axis=1)
    # a shorter vector is divided by a constant
    along = tl.where(length > SHORTEST, along, 0.0)
    return (grad - direction * along[:, None]) / length[:, None]
