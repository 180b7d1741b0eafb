"""Masks of whole images as run lengths, from their pixels."""

import torch
from torch import Tensor


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
