"""The maps that a dense head predicts, a level each, as one row of anchors."""

from collections.abc import Sequence

import torch
from torch import Tensor


def sizes_of(maps: Sequence[Tensor]) -> tuple[tuple[int, int], ...]:
    """Height and width of each."""
    return tuple(tuple(one.shape[-2:]) for one in maps)


def flatten_maps(maps: Sequence[Tensor], channels: int) -> Tensor:
    """Of every anchor: maps [B, anchors * channels, H, W] of some levels -> [B, N, channels]."""
    # whatever their strides, `cat` is who copies them
    return torch.cat([one.flatten(2).mT for one in maps], 1).view(len(maps[0]), -1, channels)
