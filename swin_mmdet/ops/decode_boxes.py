"""Boxes from their deltas, for boxes of many images at once."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from swin_mmdet.ops.to_device import to_device

# a box grows or shrinks by this factor at most
MAX_RATIO = 1000 / 16


def decode_boxes(boxes: Tensor, deltas: Tensor, means: Sequence[float], stds: Sequence[float]) -> Tensor:
    """Boxes [..., 4] as (x1, y1, x2, y2) moved by deltas [..., 4] as (dx, dy, dw, dh): [..., 4], not clipped.

    With d = deltas * stds + means the centre moves by (dx * w, dy * h) and the size is multiplied by exp(dw), exp(dh):
    mmdet's `DeltaXYWHBBoxCoder`, to the bit.
    """
    deltas = deltas * to_device(stds, deltas) + to_device(means, deltas)
    centre, size = (boxes[..., :2] + boxes[..., 2:]) * 0.5, boxes[..., 2:] - boxes[..., :2]
    limit = math.log(MAX_RATIO)
    centre = centre + size * deltas[..., :2]
    half = size * deltas[..., 2:].clamp(-limit, limit).exp() * 0.5
    return torch.cat((centre - half, centre + half), dim=-1)
