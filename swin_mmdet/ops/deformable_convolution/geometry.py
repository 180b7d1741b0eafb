"""The numbers of a convolution, and the sizes that follow from them."""

import math
from typing import NamedTuple

from torch import Tensor


class Geometry(NamedTuple):
    """Of each axis, height first, and how many parts the channels fall into."""

    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1
    offset_groups: int = 1

    def out_size(self, input: Tensor, weight: Tensor) -> tuple[int, int]:
        """Height and width of the output."""
        sizes = zip(input.shape[2:], weight.shape[2:], *self[:3])
        height, width = (
            (size + 2 * padding - dilation * (taps - 1) - 1) // stride + 1
            for size, taps, stride, padding, dilation in sizes
        )
        return height, width


def leading(tensor: Tensor, size: tuple[int, int]) -> Tensor:
    """The first numbers of each image as [B, channels, *size], a view.

    mmcv reads offset and mask so, whatever their height and width, and DyHead depends on it: it passes the offsets of a
    level twice as fine as the output.
    """
    batch, channels = tensor.shape[:2]
    return tensor.reshape(batch, -1)[:, : channels * math.prod(size)].view(batch, channels, *size)
