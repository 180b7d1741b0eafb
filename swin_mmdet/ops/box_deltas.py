"""Boxes as changes of other boxes, and back.

The formula is that of R-CNN (arXiv 1311.2524, appendix C); clamping follows the public behaviour of mmdet's
`DeltaXYWHBBoxCoder`.
"""

import math

import torch
from torch import Tensor

from swin_mmdet.ops.to_device import constant

# the most that a decoded side is longer or shorter
MAX_LOG_RATIO = abs(math.log(16 / 1000))
Numbers = tuple[float, ...]


def encode_boxes(boxes: Tensor, objects: Tensor, means: Numbers, stds: Numbers) -> Tensor:
    """(dx, dy, dw, dh) that turn boxes into objects, normalised: [..., 4], [..., 4] -> [..., 4] float32."""
    boxes, objects = boxes.float(), objects.float()
    center, size = _center_and_size(boxes)
    object_center, object_size = _center_and_size(objects)
    deltas = torch.cat([(object_center - center) / size, torch.log(object_size / size)], -1)
    return (deltas - constant(means, boxes.device)) / constant(stds, boxes.device)


def decode_boxes(boxes: Tensor, deltas: Tensor, means: Numbers, stds: Numbers, max_move: float | None = None) -> Tensor:
    """Boxes moved and scaled by deltas, computed in float32, not clipped: [..., 4], [..., 4] -> [..., 4].

    With `max_move`, centers move at most so many pixels and sides may shrink.
    """
    boxes = boxes.float()
    deltas = deltas.float() * constant(stds, boxes.device) + constant(means, boxes.device)
    center, size = _center_and_size(boxes)
    moves = size * deltas[..., :2]
    if max_move is not None:
        moves = moves.clamp(-max_move, max_move)
    growth = deltas[..., 2:].clamp(None if max_move is not None else -MAX_LOG_RATIO, MAX_LOG_RATIO)
    center, half = center + moves, size * growth.exp() * 0.5
    return torch.cat([center - half, center + half], -1)


def clip_boxes(boxes: Tensor, shapes: Tensor) -> Tensor:
    """Boxes [B, ..., 4] inside of images, of which `shapes` [B, 2] has height and width."""
    limits = shapes.flip(-1).repeat(1, 2).to(boxes.dtype)
    limits = limits.view(len(boxes), *[1] * (boxes.dim() - 2), 4)
    return torch.minimum(boxes.clamp(min=0), limits)


def _center_and_size(boxes: Tensor) -> tuple[Tensor, Tensor]:
    return (boxes[..., :2] + boxes[..., 2:]) * 0.5, boxes[..., 2:] - boxes[..., :2]
