"""What the kernels of deformable attention and convolution share: the four pixels around a location."""

import triton
import triton.language as tl


@triton.jit
def clip_to_map(x, y, height, width, exists):
    """Of locations: whether they are within a pixel of the map, x and y (0 elsewhere), and the pixel above and left.

    Also outside is what is no number.
    """
    inside = exists & (x > -1) & (y > -1) & (x < width) & (y < height)
    x, y = tl.where(inside, x, 0.0), tl.where(inside, y, 0.0)
    return inside, x, y, tl.floor(x).to(tl.int32), tl.floor(y).to(tl.int32)


@triton.jit
def corner_of(x, y, x0, y0, height, width, first, inside, RIGHT: tl.constexpr, BELOW: tl.constexpr):
    """One of four pixels around a location: whether it exists, its index, and its share on each axis.

    `first` is the index of the map's first pixel.
    """
    column, row = x0 + RIGHT, y0 + BELOW
    exists = inside & (column >= 0) & (column < width) & (row >= 0) & (row < height)
    share_x = x - x0 if RIGHT else x0 + 1 - x
    share_y = y - y0 if BELOW else y0 + 1 - y
    return exists, first + row * width + column, share_x, share_y
