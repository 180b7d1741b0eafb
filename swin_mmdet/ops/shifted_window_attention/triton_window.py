"""What the Triton kernels share: a window's tokens in the map, their channels, and the bias of their pairs."""

import triton
import triton.language as tl

# F.normalize divides by at least this
SHORTEST: tl.constexpr = tl.constexpr(1e-12)


@triton.jit
def token_places(window, token, height, width, rows, columns, shift, WINDOW: tl.constexpr):
    """Of the window's tokens [BLOCK]: their index in the map int64, whether they are one, are on it, and their region.

    Token t of window (y, x) is at row (y * WINDOW + t // WINDOW + shift) mod Hp of the map, and a column likewise.
    """
    per_image = rows * columns
    image = window // per_image
    inside = window % per_image
    y = inside // columns * WINDOW + token // WINDOW
    x = inside % columns * WINDOW + token % WINDOW
    # which side of the cyclic seam the token came from, on each axis
    region = 2 * (y >= rows * WINDOW - shift).to(tl.int32) + (x >= columns * WINDOW - shift).to(tl.int32)
    y += shift
    y = tl.where(y >= rows * WINDOW, y - rows * WINDOW, y)
    x += shift
    x = tl.where(x >= columns * WINDOW, x - columns * WINDOW, x)
    exists = token < WINDOW * WINDOW
    on_map = exists & (y < height) & (x < width)
    index = (image.to(tl.int64) * height + y) * width + x
    return index, exists, on_map, region


@triton.jit
def load_tokens(base, pad, index, exists, on_map, stride, HEAD_DIM: tl.constexpr, HAS_PAD: tl.constexpr):
    """The head's channels of the tokens [BLOCK, HEAD_DIM]; padding tokens hold the padding value."""
    channel = tl.arange(0, HEAD_DIM)
    values = tl.load(base + index[:, None] * stride + channel[None, :], mask=on_map[:, None], other=0.0)
    if HAS_PAD:
        padding = tl.load(pad + channel)
        values = tl.where((exists & ~on_map)[:, None], padding[None, :].to(values.dtype), values)
    return values


@triton.jit
def store_tokens(base, index, on_map, stride, values, HEAD_DIM: tl.constexpr):
    """Write the head's channels of the tokens [BLOCK, HEAD_DIM]; padding tokens have no place."""
    channel = tl.arange(0, HEAD_DIM)
    places = base + index[:, None] * stride + channel[None, :]
    tl.store(places, values.to(base.dtype.element_ty), mask=on_map[:, None])


@triton.jit
def load_bias(table, head, heads, query, key, WINDOW: tl.constexpr):
    """The bias of every pair of tokens, from the table [(2 * WINDOW - 1)**2, h]: [QUERIES, KEYS] float32."""
    dy = (query // WINDOW)[:, None] - (key // WINDOW)[None, :] + WINDOW - 1
    dx = (query % WINDOW)[:, None] - (key % WINDOW)[None, :] + WINDOW - 1
    inside = (query < WINDOW * WINDOW)[:, None] & (key < WINDOW * WINDOW)[None, :]
    return tl.load(table + (dy * (2 * WINDOW - 1) + dx) * heads + head, mask=inside, other=0.0).to(tl.float32)


@triton.jit
def lengths(x):
    """max(|x|, SHORTEST) of every token: [BLOCK, HEAD_DIM] -> [BLOCK] float32."""
    x = x.to(tl.float32)
    return tl.maximum(tl.sqrt(tl.sum(x * x, axis=1)), SHORTEST)


@triton.jit
def logits_of(q, k, scale, COSINE: tl.constexpr, PRECISION: tl.constexpr):
    """scale times the products or, with COSINE, the cosines of queries and keys: [QUERIES, KEYS] float32."""
    if not COSINE:
        logits = scale * tl.dot(q, tl.trans(k), input_precision=PRECISION)
    elif q.dtype == tl.float32:
        q, k = scale * (q / lengths(q)[:, None]), k / lengths(k)[:, None]
        logits = tl.dot(q, tl.trans(k), input_precision=PRECISION)
    else:
        # lengths later, for directions in half would be rounded once more
        products = tl.dot(q, tl.trans(k), input_precision=PRECISION)
        logits = products * (scale / lengths(q))[:, None] * (1 / lengths(k))[None, :]
    return logits


@triton.jit
def through_length(grad, direction, length):
    """The gradient of x from that of its direction u = x / |x|: (du - u (u . du)) / |x|, each [BLOCK, HEAD_DIM]."""
    along = tl.sum(direction * grad, axis=1)
    # a vector shorter than that is divided by a constant
    along = tl.where(length > SHORTEST, along, 0.0)
    return (grad - direction * along[:, None]) / length[:, None]
