"""The rows in which all levels of a pyramid lie, and which level a convolution of a dynamic head reads for which.

A row is a pixel with its C channels. Those of one image and level are a segment; segments follow one another level by
level, image by image. A dynamic head makes a map for each level from three: its own (`mid`), the next finer one, with
a stride of 2 (`low`), and the next coarser one, whose result is enlarged (`high`). Their results lie in one row of
segments as well: first those of `mid`, for all levels; then `low`, without the finest; then `high`, without the
coarsest, in the coarser level's size.
"""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
from torch import Tensor

from swin_mmdet.ops.to_device import to_device
from swin_mmdet.ops.tracing import remembered

Size = tuple[int, int]  # height and width
KINDS = 'mid', 'low', 'high'
TAPS = 9  # of a kernel of 3 x 3
# a row of offsets: (dy, dx) of each tap, then the logit of each tap's factor
OFFSET_CHANNELS = 3 * TAPS
# of the batches' sizes that were seen last
KEPT = 64


class Reading(NamedTuple):
    """A convolution from one level's map, with the offsets of the level that it is for."""

    source: int
    level: int
    stride: int
    size: Size  # of its result


class Levels(NamedTuple):
    """How many images, and the sizes of their maps, finest first."""

    batch: int
    sizes: tuple[Size, ...]

    def counts(self) -> list[int]:
        """Rows of each level."""
        return [self.batch * height * width for height, width in self.sizes]

    def starts(self) -> list[int]:
        """First row of each level."""
        return _starts(self.counts())

    def readings(self) -> tuple[tuple[Reading, ...], ...]:
        """The convolutions of each kind."""
        last = len(self.sizes) - 1
        mid = tuple(Reading(level, level, 1, size) for level, size in enumerate(self.sizes))
        low = tuple(Reading(level - 1, level, 2, self.sizes[level]) for level in range(1, last + 1))
        high = tuple(Reading(level + 1, level, 1, self.sizes[level + 1]) for level in range(last))
        return mid, low, high

    def results(self) -> list[list[int]]:
        """Rows of the results of each kind, level by level."""
        return [[self.batch * one.size[0] * one.size[1] for one in kind] for kind in self.readings()]

    def segments(self) -> tuple[int, ...]:
        """Rows of each segment of the results."""
        return tuple(rows // self.batch for kind in self.results() for rows in kind for _ in range(self.batch))

    def own_segments(self) -> tuple[int, ...]:
        """Rows of each segment of the maps themselves: those of an image in a level."""
        return tuple(height * width for height, width in self.sizes for _ in range(self.batch))

    def enlarged_segments(self) -> tuple[int, ...]:
        """Rows of each segment of the enlarged maps, which are those of all levels but the coarsest."""
        return self.own_segments()[: -self.batch]

    def map_of(self, rows: Tensor, level: int) -> Tensor:
        """[B, C, H, W], a view with channels innermost."""
        first, count = self.starts()[level], self.counts()[level]
        return as_map(rows[first : first + count], self.batch, self.sizes[level])


def as_map(rows: Tensor, batch: int, size: Size) -> Tensor:
    """Rows of a level -> [B, C, H, W], a view with channels innermost."""
    return rows.view(batch, *size, rows.shape[1]).permute(0, 3, 1, 2)


def as_rows(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B * H * W, C], a view where channels are innermost."""
    return x.permute(0, 2, 3, 1).reshape(-1, x.shape[1])


def _starts(counts: Sequence[int]) -> list[int]:
    return [0, *accumulate(counts)][:-1]


def first_blocks(counts: Sequence[int], block: int) -> tuple[list[int], int]:
    """Number of each part's first program, of `block` rows each, and how many there are in all."""
    blocks = [-(-count // block) for count in counts]
    return _starts(blocks), sum(blocks)


@remembered(KEPT)
def readings_table(levels: Levels, block: int, device: torch.device) -> Tensor:
    """A row for each convolution: [convolutions, 10] int32.

    First program; first row of source, height and width; first row, height and width of the result; first row of the
    offsets and pixels of their map; stride.
    """
    readings = [one for kind in levels.readings() for one in kind]
    counts = [levels.batch * one.size[0] * one.size[1] for one in readings]
    starts = levels.starts()
    table = [
        [first, starts[one.source], *levels.sizes[one.source], out, *one.size, starts[one.level],
         levels.sizes[one.level][0] * levels.sizes[one.level][1], one.stride]
        for one, first, out in zip(readings, first_blocks(counts, block)[0], _starts(counts), strict=True)
    ]  # fmt: skip
    return to_device(table, torch.empty(0, device=device), torch.int32)


@remembered(KEPT)
def segments_table(segments: tuple[int, ...], block: int, device: torch.device) -> Tensor:
    """First program, first row and rows of each segment: [segments, 3] int32."""
    table = list(zip(first_blocks(segments, block)[0], _starts(segments), segments, strict=True))
    return to_device(table, torch.empty(0, device=device), torch.int32)


@remembered(KEPT)
def blend_table(levels: Levels, block: int, device: torch.device) -> Tensor:
    """A row for each segment of the result: [segments, 5] int32.

    First program, first row, rows, and where its rows of `low` among the results and of the enlarged maps begin, -1
    where there are none.
    """
    own = levels.own_segments()
    rows = _starts(own)
    finest, coarsest = levels.counts()[0], sum(levels.counts()[:-1])
    table = [
        # `low` lies behind `mid`, without the finest level
        [first, row, count, -1 if row < finest else sum(own) + row - finest, row if row < coarsest else -1]
        for first, row, count in zip(first_blocks(own, block)[0], rows, own, strict=True)
    ]
    return to_device(table, torch.empty(0, device=device), torch.int32)
