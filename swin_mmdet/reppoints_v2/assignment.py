"""Which object a point is trained for: indices of objects, -1 for none."""

import torch
from torch import Tensor

NONE = -1


def claim_nearest(distances: Tensor) -> Tensor:
    """Every object takes its nearest point; a point taken by several goes to the nearest of them: [P, G] -> [P].

    A point at an infinite distance is never taken.
    """
    points, objects = distances.shape
    if not points or not objects:
        return distances.new_full((points,), NONE, dtype=torch.long)
    distance, nearest = distances.min(0)
    claims = torch.full_like(distances, torch.inf)
    claims[nearest, torch.arange(objects, device=claims.device)] = distance
    distance, owner = claims.min(1)
    return owner.masked_fill(distance.isinf(), NONE)


def assign_centers(points: Tensor, strides: Tensor, boxes: Tensor, centers: Tensor, scale: float) -> Tensor:
    """The point nearest to each object's center, on the level of its size (RepPoints, arXiv 1904.11490, section 3.3).

    Distances are in widths and heights of the object. A level of stride s is for boxes of about `scale * s`.

    Args:
        points: [P, 2] x, y in the image, with strides [P] that are powers of 2
        boxes: [G, 4], with centers [G, 2]

    Returns:
        [P] index of the object
    """
    if not len(points):
        return points.new_full((0,), NONE, dtype=torch.long)
    sizes = (boxes[:, 2:] - boxes[:, :2]).clamp(min=1e-6)
    levels = strides.log2().int()
    # the mean of two logarithms, as mmdet rounds it
    wanted = ((sizes[:, 0] / scale).log2() + (sizes[:, 1] / scale).log2()).div(2).int()
    wanted = wanted.clamp(levels.min(), levels.max())
    distances = ((points[:, None] - centers) / sizes).norm(dim=2)
    return claim_nearest(distances.masked_fill(levels[:, None] != wanted, torch.inf))
