"""Boxes as corners or as center and size, and how much they overlap: IoU and GIoU (arXiv 1902.09630)."""

import torch
from torch import Tensor

KINDS = 'iou', 'iof', 'giou'
# of mmdet's overlaps: the smallest area that is divided by
EPSILON = 1e-6


def corners_of(boxes: Tensor) -> Tensor:
    """(x, y, width, height) of a center and a size -> (x1, y1, x2, y2): [..., 4]."""
    center, size = boxes.split(2, -1)
    return torch.cat([center - size / 2, center + size / 2], -1)


def centers_of(boxes: Tensor) -> Tensor:
    """(x1, y1, x2, y2) -> (x, y, width, height) of the center and the size: [..., 4]."""
    first, last = boxes.split(2, -1)
    return torch.cat([(first + last) / 2, last - first], -1)


def overlaps(boxes: Tensor, others: Tensor, kind: str = 'iou', eps: float = EPSILON) -> Tensor:
    """Of corners [..., 4] and [..., 4], broadcast: [...]. 'iof' is the share of `boxes` that `others` cover.

    No area that is divided by is less than eps.
    """
    (first, last), (other_first, other_last) = boxes.split(2, -1), others.split(2, -1)
    common = _area((torch.minimum(last, other_last) - torch.maximum(first, other_first)).clamp(min=0))
    whole = _area(last - first)
    if kind != 'iof':
        whole = whole + _area(other_last - other_first) - common
    whole = whole.clamp(min=eps)
    if kind != 'giou':
        return common / whole
    hull = _area((torch.maximum(last, other_last) - torch.minimum(first, other_first)).clamp(min=0)).clamp(min=eps)
    return common / whole - (hull - whole) / hull


def _area(sides: Tensor) -> Tensor:
    # the gradient of `prod` synchronises with the GPU, to know whether there are zeros
    width, height = sides.unbind(-1)
    return width * height
