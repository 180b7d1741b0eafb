"""The regions of a batch that an R-CNN's heads train on."""

from typing import NamedTuple

import torch
from torch import Tensor


class SampledRegions(NamedTuple):
    """K regions of each of B images, those of objects first; the last may be unused, with boxes of no size.

    Attributes:
        boxes: [B, K, 4] float32.
        assigned: [B, K], the object plus one, 0 for background, -1 for unused.
        is_object: [B, K] bool, whether the box is one of the ground truth.
        labels: [B, K], of its object, the number of classes for others.
        max_positive: those of objects are among the first so many.
    """

    boxes: Tensor
    assigned: Tensor
    is_object: Tensor
    labels: Tensor
    max_positive: int

    def rois(self) -> Tensor:
        """[B * K, 5] float32: image, x1, y1, x2, y2."""
        return rois_of(self.boxes)


def rois_of(boxes: Tensor) -> Tensor:
    """Boxes [B, K, 4] with the numbers of their images before: [B * K, 5]."""
    number = torch.arange(len(boxes), dtype=boxes.dtype, device=boxes.device)
    return torch.cat([number[:, None, None].expand(-1, boxes.shape[1], 1), boxes], 2).flatten(0, 1)
