"""The maps that verify boxes (RepPoints V2, section 3.2): their targets, and what boxes gain from them at test time."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swin_mmdet.reppoints_v2.assignment import claim_nearest


def gaussian_radius(boxes: Tensor, min_overlap: float) -> Tensor:
    """How far corners of a box may be off, with an IoU of still `min_overlap` (CornerNet, section 3.2): [G, 4] -> [G].

    The least of three cases: both corners off in the same direction, both inwards, both outwards.
    """
    width, height = (boxes[:, 2:] - boxes[:, :2]).unbind(1)
    total, area = width + height, width * height
    same = _smaller_root(1, total, area * (1 - min_overlap) / (1 + min_overlap))
    inwards = _smaller_root(4, 2 * total, area * (1 - min_overlap))
    outwards = -_smaller_root(4 * min_overlap, 2 * min_overlap * total, area * (min_overlap - 1))
    return torch.minimum(torch.minimum(same, inwards), outwards)


def _smaller_root(a: float, b: Tensor, c: Tensor) -> Tensor:
    """Of a r**2 - b r + c = 0."""
    return (b - (b**2 - 4 * a * c).clamp(min=0).sqrt()) / (2 * a)


def corner_targets(
    points: Tensor, strides: Tensor, level_sizes: Sequence[int], boxes: Tensor, min_overlap: float
) -> tuple[Tensor, Tensor]:
    """Where corners are: heat [P, 2] and offsets [P, 2, 2] of the upper left and of the lower right corner.

    On every level the point nearest to a corner is 1 and has the corner's x, y from there, in strides. Others within
    the radius of the box have a Gaussian of the distance, the largest of all boxes.

    Args:
        points: [P, 2] x, y in the image, level after level, `level_sizes` of each, with strides [P]
        boxes: [G, 4]
    """
    radius = gaussian_radius(boxes, min_overlap)
    sigma = (2 * radius + 1) / 6
    targets = [
        _one_corner_targets(points, strides, level_sizes, corners, radius, sigma) for corners in boxes.split(2, dim=1)
    ]
    heat, offsets = zip(*targets, strict=True)
    return torch.stack(heat, dim=1), torch.stack(offsets, dim=1)


def _one_corner_targets(
    points: Tensor, strides: Tensor, level_sizes: Sequence[int], corners: Tensor, radius: Tensor, sigma: Tensor
) -> tuple[Tensor, Tensor]:
    """Heat [P] and offsets [P, 2] of corners [G, 2]."""
    if not len(corners):
        return torch.zeros_like(strides), torch.zeros_like(points)
    distances = (points[:, None] - corners).norm(dim=2)
    owner = torch.cat([claim_nearest(level) for level in distances.split(level_sizes)])
    gaussian = (-(distances**2) / (2 * sigma**2)).exp().masked_fill(distances >= radius, 0)
    heat = gaussian.amax(1).masked_fill(owner >= 0, 1)
    offsets = (corners[owner.clamp(min=0)] - points) / strides[:, None]
    return heat, offsets.masked_fill(owner[:, None] < 0, 0)


def foreground_targets(
    boxes: Tensor, labels: Tensor, num_classes: int, size: tuple[int, int], stride: int
) -> tuple[Tensor, Tensor]:
    """What is inside boxes [G, 4] of each class: maps of 0 and 1 and weights, both [num_classes, *size].

    A pixel weighs 1 / area of the smallest box of its class around it. Both cells that a box's border lies in count.
    """
    first, last = (boxes / stride).floor()[:, :, None].split(2, dim=1)
    x, y = (torch.arange(side, device=boxes.device) for side in (size[1], size[0]))
    columns = (x >= first[:, 0]) & (x <= last[:, 0])
    rows = (y >= first[:, 1]) & (y <= last[:, 1])
    # a box has the area of a pixel at least, whatever augmentation left of it
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(1).clamp(min=1)
    painted = (rows[:, :, None] & columns[:, None]) / areas[:, None, None]
    weights = boxes.new_zeros(num_classes, *size)
    weights.scatter_reduce_(0, labels[:, None, None].expand_as(painted), painted, 'amax')
    return (weights > 0).to(weights.dtype), weights


def refine_corners(corners: Tensor, heat: Tensor, offsets: Tensor, stride: int) -> Tensor:
    """Move corners [n, 2] to the hottest of the four points around each, by its offset: [n, 2] x, y in the image.

    Args:
        heat: [H, W], whose point (x, y) lies at (x, y) * stride in the image
        offsets: [H, W, 2] x, y in strides
    """
    height, width = heat.shape
    around = torch.tensor([(0, 0), (1, 0), (0, 1), (1, 1)], device=heat.device)
    last = torch.tensor([width - 1, height - 1], device=heat.device)
    # at the last row or column the four are the last two rows or columns
    first = (corners / stride).floor().long().minimum(last - 1).clamp(min=0)
    x, y = (first[:, None] + around).minimum(last).unbind(2)
    hottest = heat[y, x].argmax(1, keepdim=True)
    x, y = x.gather(1, hottest)[:, 0], y.gather(1, hottest)[:, 0]
    return (torch.stack((x, y), dim=1) + offsets[y, x]) * stride
