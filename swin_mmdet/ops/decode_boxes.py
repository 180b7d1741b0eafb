"""Boxes from their deltas, for boxes of many images at once."""

import math

import torch
from torch import Tensor

from swin_mmdet.ops.box_deltas import Numbers, constant

# a box grows or shrinks by this factor at most
MAX_RATIO = 1000 / 16


def decode_boxes(boxes: Tensor, deltas: Tensor, means: Numbers, stds: Numbers) -> Tensor:
    """Boxes [..., 4] as (x1, y1, x2, y2) moved by deltas [..., 4] as (dx, dy, dw, dh): [..., 4], not clipped.

    With d = deltas * stds + means the centre moves by (dx * w, dy * h) and the size is multiplied by exp(dw), exp(dh):
    mmdet's `DeltaXYWHBBoxCoder`, to the bit.
    """
    stds, means = (constant(values, deltas.device, deltas.dtype) for values in (stds, means))
    deltas = deltas * stds + means
    centre, size = (boxes[..., :2] + boxes[..., 2:]) * 0.5, boxes[..., 2:] - boxes[..., :2]
    limit = math.log(MAX_RATIO)
    centre = centre + size * deltas[..., :2]
    half = size * deltas[..., 2:].clamp(-limit, limit).exp() * 0.5
    return torch.cat((centre - half, centre + half), dim=-1)
