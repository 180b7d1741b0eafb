"""What the points of RepPoints V2 are trained for: objects that own them, and where the corners of objects are."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from swin_mmdet.reppoints_v2.assignment import NONE, assign_centers
from swin_mmdet.reppoints_v2.verification import corner_targets


class Targets(NamedTuple):
    """Of all P points of B images, level after level."""

    init_owner: Tensor  # [B, P] index of the object among the image's, -1 for none
    owner: Tensor  # [B, P] the same, for the refined box and the class
    heat: Tensor  # [B, P, 2] of the upper left and the lower right corner
    offsets: Tensor  # [B, P, 2, 2] x, y of both corners in strides
    valid: Tensor  # [B, P] whether the image has the point


def targets_of_image(
    locations: Tensor, strides: Tensor, flags: Sequence[Tensor], boxes: Tensor, centers: Tensor, scale: float,
    gaussian_iou: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Those of one image that no prediction changes: init_owner [P], heat [P, 2], offsets [P, 2, 2] and valid [P].

    Args:
        locations: x, y in the image of all points [P, 2], with their strides [P]
        flags: bool, of each level, which of its points the image has
        boxes: of objects [G, 4], with the centers [G, 2] around which points are looked for
        scale, gaussian_iou: of `assign_centers` and `corner_targets`
    """
    valid = torch.cat(list(flags))
    known = locations[valid], strides[valid]
    owner = assign_centers(*known, boxes, centers, scale)
    heat, offsets = corner_targets(*known, [int(level.sum()) for level in flags], boxes, gaussian_iou)
    return _spread(owner, valid, NONE), _spread(heat, valid, 0), _spread(offsets, valid, 0), valid


def _spread(of_valid: Tensor, valid: Tensor, value: int) -> Tensor:
    """What is known of the valid points [P], with `value` for the others: [v, ...] -> [P, ...]."""
    every = of_valid.new_full((len(valid), *of_valid.shape[1:]), value)
    every[valid] = of_valid
    return every
