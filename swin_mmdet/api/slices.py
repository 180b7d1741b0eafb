"""Images that are too large to be looked at in one piece: overlapping tiles, and the whole once."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np

from swin_mmdet.errors import UserError


class Tile(NamedTuple):
    """A part of an image, in its pixels; without the `right` column and the `bottom` row."""

    left: int
    top: int
    right: int
    bottom: int

    def cut(self, image: np.ndarray) -> np.ndarray:
        """Its pixels, which are those of the image [H, W] or [H, W, channels]."""
        return image[self.top : self.bottom, self.left : self.right]

    def common(self, other: 'Tile') -> 'Tile':
        """What both have; its right is not right of its left where that is nothing."""
        return Tile(*map(max, self[:2], other[:2]), *map(min, self[2:], other[2:]))


@dataclass(frozen=True)
class Slices:
    """How a large image is cut.

    Args:
        size: height and width of a tile, or both; None for the size of the config's test, at which pixels stay as they
            are.
        overlap: share of a tile that its neighbour has too, at least. What is smaller than it is whole in some tile.
        whole: look at the whole image too, at the scale of the config's test, for objects larger than a tile.
        threshold: detections of one class that share this much are one: of their union, or of a part that a tile cut.

    Raises:
        UserError: a value that cannot be.
    """

    size: int | tuple[int, int] | None = None
    overlap: float = 0.25
    whole: bool = True
    threshold: float = 0.5

    def __post_init__(self) -> None:
        sides = () if self.size is None else (self.size,) if isinstance(self.size, int) else tuple(self.size)
        if len(sides) > 2 or (self.size is not None and not sides):
            raise UserError(f'slices of size {self.size}: give one number, or height and width')
        if any(not isinstance(side, int | np.integer) or side < 32 for side in sides):
            raise UserError(f'slices of size {self.size}: give whole numbers of pixels from 32 on')
        if not 0 <= self.overlap <= 0.9:
            raise UserError(f'slices with overlap={self.overlap}: give a share from 0 to 0.9')
        if not 0 < self.threshold <= 1:
            raise UserError(f'slices with threshold={self.threshold}: give a share above 0, at most 1')

    @classmethod
    def read(cls, slices: object) -> 'Slices | None':
        """From what a user gives: True, a size, height and width, or what it is.

        Raises:
            UserError: it is none of these.
        """
        if slices is None or slices is False:
            return None
        if slices is True:
            return cls()
        if isinstance(slices, cls):
            return slices
        if isinstance(slices, int | tuple | list):
            return cls(slices if isinstance(slices, int) else tuple(slices))
        raise UserError(f'slices={slices!r}: give True, a size, (height, width) or Slices(...)')

    def tiles(self, height: int, width: int, test_size: tuple[int, int] | None) -> list[Tile]:
        """Those of an image, row by row, all of one size; one that is the whole where that is not larger.

        Args:
            test_size: height and width of a tile whose pixels the config's test leaves as they are.

        Raises:
            UserError: no size is known.
        """
        size = test_size if self.size is None else self.size
        if size is None:
            raise UserError('slices=True takes the size of Resize in the test pipeline, which has none; give a size')
        high, wide = (size, size) if isinstance(size, int) else size
        return [
            Tile(left, top, left + min(wide, width), top + min(high, height))
            for top in self._starts(height, high)
            for left in self._starts(width, wide)
        ]

    def _starts(self, length: int, side: int) -> Iterator[int]:
        """Where tiles begin along an axis, from its one end to the other at equal distances."""
        if length <= side:
            return iter((0,))
        step = max(int(side * (1 - self.overlap)), 1)
        last = math.ceil((length - side) / step)
        return (round(index * (length - side) / last) for index in range(last + 1))


def size_of_test(pipeline: Sequence[dict]) -> tuple[int, int] | None:
    """Height and width of the image that a test pipeline leaves as it is, the larger ones across."""
    scales = [step['scale'] for step in pipeline if 'Resize' in str(step.get('type')) and step.get('scale')]
    if not scales:
        return None
    scale = scales[0]
    return (scale, scale) if isinstance(scale, int) else (min(scale), max(scale))
