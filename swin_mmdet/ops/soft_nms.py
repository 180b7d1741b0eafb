"""Soft non-maximum suppression of all images and classes of a batch at once. Paper: arXiv 1704.04503."""

from typing import NamedTuple

import torch
from torch import Tensor

METHODS = ('naive', 'linear', 'gaussian')
NOT_THERE = -1.0


class SoftNms(NamedTuple):
    """What a box's score is multiplied with for each better box of its class that it overlaps.

    'naive': 0 at IoU >= `iou_threshold`; 'linear': 1 - IoU there; 'gaussian': exp(-IoU**2 / sigma) everywhere. A box
    whose score falls below `min_score` is dropped. The defaults are mmcv's.
    """

    iou_threshold: float = 0.3
    sigma: float = 0.5
    min_score: float = 1e-3
    method: str = 'linear'


def soft_nms(boxes: Tensor, scores: Tensor, rule: SoftNms, max_per_image: int) -> tuple[Tensor, Tensor]:
    """The first `max_per_image` boxes that soft-NMS picks in each image, best first, without synchronising with a GPU.

    boxes [B, K, N, 4] float32 as (x1, y1, x2, y2), of which those of a class alone suppress each other; scores
    [B, K, N], -1 where there is no box -> indices [B, M] int64 in K * N and decayed scores [B, M], -1 after the last
    box; M is `max_per_image`, or K * N where that is less.

    Scores only fall, so the first boxes that are picked are the best of all: nothing has to be known of the others.
    Of equal scores the first is picked.

    Raises:
        ValueError: an unknown method.
    """
    if rule.method not in METHODS:
        raise ValueError(f'soft_nms: method={rule.method!r} is not one of {METHODS}')
    iou_threshold, sigma, min_score = torch.tensor(rule[:3], dtype=torch.float32).tolist()
    images, classes, count = scores.shape
    # the best of an image is picked, whatever its score
    floor = scores.flatten(1).amax(1).clamp(max=min_score)[:, None, None]
    scores = scores.float().masked_fill(scores < floor, NOT_THERE)
    areas = (boxes[..., 2:] - boxes[..., :2]).prod(-1)
    image = torch.arange(images, device=boxes.device)
    picked = []
    for _ in range(min(max_per_image, classes * count)):
        score, index = scores.flatten(1).max(1)
        picked.append((index, score))
        label = index // count
        # of the class of the picked box alone
        row, row_boxes, row_areas = scores[image, label], boxes[image, label], areas[image, label]
        best = (index % count)[:, None]
        box, area = row_boxes.gather(1, best[..., None].expand(-1, -1, 4)), row_areas.gather(1, best)
        size = box[..., 2:].minimum(row_boxes[..., 2:]) - box[..., :2].maximum(row_boxes[..., :2])
        overlap = size.clamp(min=0).prod(-1)
        # two boxes without a size do not overlap
        iou = (overlap / (area + row_areas - overlap)).nan_to_num(0)
        if rule.method == 'gaussian':
            weight = (-(iou * iou) / sigma).exp()
        else:
            weight = torch.where(iou >= iou_threshold, 0 if rule.method == 'naive' else 1 - iou, 1)
        gone = (row < 0) | (row * weight < min_score)
        scores[image, label] = (row * weight).masked_fill(gone, NOT_THERE).scatter(1, best, NOT_THERE)
    indices, scores = (torch.stack(x, 1) for x in zip(*picked, strict=True))
    return indices, scores
