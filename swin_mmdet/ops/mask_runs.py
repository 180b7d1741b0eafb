"""Masks of whole images as run lengths, from their pixels."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swin_mmdet.ops.to_device import AsyncHostCopy


class LateRuns(Sequence[Sequence[int]]):
    """Run lengths of masks on their way to the host: who reads the first waits for all.

    lengths: int32 [T]; places: of each mask where its own begin and end.
    """

    def __init__(self, lengths: AsyncHostCopy, places: list[tuple[int, int]]) -> None:
        self._lengths, self._places = lengths, places

    def __len__(self) -> int:
        return len(self._places)

    def __getitem__(self, index):  # type: ignore[no-untyped-def]  # a slice of masks is as late
        if isinstance(index, slice):
            return LateRuns(self._lengths, self._places[index])
        begin, end = self._places[index]
        return self._lengths.wait().numpy()[begin:end]

    def chosen(self, indices: Sequence[int]) -> 'LateRuns':
        """Of some masks."""
        return LateRuns(self._lengths, [self._places[index] for index in indices])


def chosen_runs(runs: Sequence, indices: Sequence[int]) -> Sequence:
    """Those of some masks, as late as they are."""
    return runs.chosen(indices) if isinstance(runs, LateRuns) else [runs[index] for index in indices]


def changes_in_columns(bits: Tensor) -> tuple[Tensor, Tensor]:
    """Which pixels of masks [N, H, W] bool differ from the one above, or from the last of the column before.

    The first pixel of a mask is held against 0. Indices of masks [T] and of their pixels [T], by columns from the left,
    as `runs_between` takes them. Synchronises with a GPU, to learn how many there are.
    """
    columns = bits.mT.flatten(1)
    before = torch.cat([columns.new_zeros(len(columns), 1), columns[:, :-1]], 1)
    return (columns ^ before).nonzero().unbind(1)


def boxes_of_masks(bits: Tensor) -> Tensor:
    """Tight boxes of masks [N, H, W] bool, x1, y1, x2, y2 with the end after the last pixel: [N, 4] float32.

    Zeros for a mask without a pixel.
    """
    sides = []
    for filled in (bits.any(1), bits.any(2)):
        first, last = filled.byte().argmax(1), filled.shape[1] - filled.flip(1).byte().argmax(1)
        sides.append(torch.stack([first, last * filled.any(1)]))
    return torch.stack(sides, -1).permute(1, 0, 2).flatten(1).float()
