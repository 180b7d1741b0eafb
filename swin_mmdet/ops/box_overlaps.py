"""Boxes as corners or as center and size, and how much they overlap: IoU and GIoU (arXiv 1902.09630)."""

import torch
from torch import Tensor

KINDS = 'iou', 'iof', 'giou'


def corners_of(boxes: Tensor) -> Tensor:
    """(x, y, width, height) of a center and a size -> (x1, y1, x2, y2): [..., 4]."""
    center, half = boxes[..., :2], boxes[..., 2:] * 0.5
    return torch.cat([center - half, center + half], -1)


def centers_of(boxes: Tensor) -> Tensor:
    """(x1, y1, x2, y2) -> (x, y, width, height) of the center and the size: [..., 4]."""
    return torch.cat([(boxes[..., :2] + boxes[..., 2:]) / 2, boxes[..., 2:] - boxes[..., :2]], -1)


def overlaps(boxes: Tensor, others: Tensor, kind: str = 'iou', eps: float = 1e-6) -> Tensor:
    """Of corners [..., 4] and [..., 4], broadcast: [...]. 'iof' is the share of `boxes` that `others` cover.

    No area that is divided by is less than eps.
    """
    first = torch.maximum(boxes[..., :2], others[..., :2])
    last = torch.minimum(boxes[..., 2:], others[..., 2:])
    common = _area((last - first).clamp(min=0))
    whole = _area(boxes[..., 2:] - boxes[..., :2])
    if kind != 'iof':
        whole = whole + _area(others[..., 2:] - others[..., :2]) - common
    whole = whole.clamp(min=eps)
    if kind != 'giou':
        return common / whole
    first = torch.minimum(boxes[..., :2], others[..., :2])
    last = torch.maximum(boxes[..., 2:], others[..., 2:])
    hull = _area((last - first).clamp(min=0)).clamp(min=eps)
    return common / whole - (hull - whole) / hull


def _area(sides: Tensor) -> Tensor:
    # the gradient of `prod` asks the GPU whether there are zeros
    return sides[..., 0] * sides[..., 1]
