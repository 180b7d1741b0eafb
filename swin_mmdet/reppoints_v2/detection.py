"""Test time of RepPoints V2: the best boxes of each level, their corners moved to where the maps have corners."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmdet.models.layers import multiclass_nms
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor
from torch.nn import functional as F

from swin_mmdet.reppoints_v2.verification import refine_corners

Sizes = Sequence[tuple[int, int]]


class Predictions(NamedTuple):
    """What the head says of all P points of B images, level after level, in float32."""

    classes: Tensor  # [B, P, K] logits
    init_boxes: Tensor  # [B, P, 4] in the image
    boxes: Tensor  # [B, P, 4] in the image
    heat: Tensor  # [B, P, 2] logits of the upper left and the lower right corner
    offsets: Tensor  # [B, P, 2, 2] x, y of both corners in strides

    def of_image(self, index: int) -> 'Predictions':
        """Those of one image, all without their first axis."""
        return Predictions(*(one[index] for one in self))


def detect(
    predictions: Predictions, sizes: Sizes, strides: Sequence[int], meta: dict, cfg: ConfigDict, rescale: bool
) -> InstanceData:
    """Bboxes [n, 4], scores [n], labels [n] and of which points they are [n], best first.

    Args:
        predictions: of one image, whose levels' maps have these sizes and strides
        cfg: `nms_pre`, `score_thr`, `nms` and `max_per_img`
        rescale: to pixels of the original image
    """
    height, width = meta['img_shape'][:2]
    bounds = predictions.boxes.new_tensor([width, height] * 2)
    scores = predictions.classes.sigmoid()
    points, boxes, start = [], [], 0
    for level, best in enumerate(scores.amax(1).split(_counts(sizes))):
        indices = best.topk(min(cfg['nms_pre'], len(best))).indices + start
        candidates = predictions.boxes[indices].clamp(min=0).minimum(bounds)
        if level:
            # the first level has the corners of the next two, the second those of the rest
            verified = verify(candidates, predictions, sizes, strides, 0 if level <= 2 else 1)
            candidates = verified.clamp(min=0).minimum(bounds)
        points.append(indices)
        boxes.append(candidates)
        start += len(best)
    points, boxes = torch.cat(points), torch.cat(boxes)
    if rescale:
        boxes = boxes / boxes.new_tensor(meta['scale_factor']).repeat(2)
    background = F.pad(scores[points], (0, 1))
    detections, labels, kept = multiclass_nms(
        boxes, background, cfg['score_thr'], cfg['nms'], cfg['max_per_img'], return_inds=True
    )
    # of box and class
    points = points[kept // scores.shape[1]]
    return InstanceData(bboxes=detections[:, :4], scores=detections[:, 4], labels=labels, points=points)


def verify(
    boxes: Tensor, predictions: Predictions, sizes: Sizes, strides: Sequence[int], level: int
) -> Tensor:
    """Boxes [n, 4] whose corners are those that the maps of `level` have nearby."""
    heat = predictions.heat.split(_counts(sizes))[level].unflatten(0, sizes[level])
    offsets = predictions.offsets.split(_counts(sizes))[level].unflatten(0, sizes[level])
    corners = [
        refine_corners(one, heat[..., corner], offsets[..., corner, :], strides[level])
        for corner, one in enumerate(boxes.split(2, dim=1))
    ]
    return torch.cat(corners, dim=1)


def _counts(sizes: Sizes) -> list[int]:
    return [height * width for height, width in sizes]
