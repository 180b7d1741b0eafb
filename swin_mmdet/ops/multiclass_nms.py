"""From class scores of proposals or anchors to detections, for all images of a batch at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from swin_mmdet.ops.batched_nms import batched_nms
from swin_mmdet.ops.soft_nms import NOT_THERE, SoftNms, soft_nms

# of a key: the bits of a score that is not negative order as the score does
SCORE_SHIFT = 32


class Candidates(NamedTuple):
    """Those of each class that score high enough, best first; N is the most that a class of an image has.

    Attributes:
        keys: [B, K, N] int64: score, then earlier proposal, then earlier class, in one number; -1 where there is none.
        proposals: [B, K, N] int64.
    """

    keys: Tensor
    proposals: Tensor


class Detections(NamedTuple):
    """The best M of each image, best first; of image b the first `counts[b]` are detections, the rest means nothing.

    M is the most there can be: `max_per_image`, or fewer candidates.

    Attributes:
        boxes: [B, M, 4].
        scores: [B, M] float32.
        labels: [B, M] int64.
        counts: [B] int64.
    """

    boxes: Tensor
    scores: Tensor
    labels: Tensor
    counts: Tensor


def find_candidates(scores: Tensor, valid: Tensor, score_threshold: float) -> Candidates | None:
    """Of probabilities [B, P, K] of proposals of which there are `valid` [B, P]; None when no image has any.

    Synchronises with a GPU, once: all that follows is then of N candidates a class, not of P.
    """
    above = _above(scores, valid, score_threshold)
    max_candidates = int(above.sum(1).amax())
    return _best(scores, above, max_candidates) if max_candidates else None


def find_candidates_within(
    room: int, scores: Tensor, valid: Tensor, score_threshold: float
) -> tuple[Candidates, Tensor]:
    """The same with N = `room`, or all proposals if they are fewer, and how many a class of an image has at most: [].

    No number is read on the host. If that is more than `room` the worst are left out.
    """
    above = _above(scores, valid, score_threshold)
    return _best(scores, above, min(room, scores.shape[1])), above.sum(1).amax()


def _above(scores: Tensor, valid: Tensor, score_threshold: float) -> Tensor:
    return (scores > score_threshold) & valid[..., None]


def _best(scores: Tensor, above: Tensor, max_candidates: int) -> Candidates:
    proposals, classes = scores.shape[1:]
    rank = torch.arange(proposals * classes - 1, -1, -1, device=scores.device).view(proposals, classes)
    keys = (scores.float().view(torch.int32).long() << SCORE_SHIFT | rank).masked_fill(~above, -1)
    return Candidates(*keys.mT.topk(max_candidates))


def multiclass_nms(boxes: Tensor, candidates: Candidates, iou_threshold: float, max_per_image: int) -> Detections:
    """The detections that mmdet's `multiclass_nms` finds in each image, in its order, without synchronising with a GPU.

    NMS among the candidates of each class, of boxes [B, K, N, 4] float32, leaves some, of which the best
    `max_per_image` are kept.
    """
    exists = candidates.keys >= 0
    keep = batched_nms(_classes_apart(boxes, exists).flatten(0, 1), exists.flatten(0, 1), iou_threshold)
    keys = candidates.keys.where(keep.view_as(exists), -1).flatten(1)
    keys, index = keys.topk(min(max_per_image, keys.shape[1]))
    kept_boxes = boxes.flatten(1, 2).gather(1, index[..., None].expand(-1, -1, 4))
    return Detections(kept_boxes, _score_of(keys), index // boxes.shape[2], (keys >= 0).sum(1))


def soft_multiclass_nms(boxes: Tensor, candidates: Candidates, rule: SoftNms, max_per_image: int) -> Detections:
    """The same of boxes [B, K, N, 4] with soft-NMS: mmdet's detections too, but for the order of equal scores."""
    exists = candidates.keys >= 0
    scores = _score_of(candidates.keys).masked_fill(~exists, NOT_THERE)
    index, scores = soft_nms(_classes_apart(boxes, exists), scores, rule, max_per_image)
    kept_boxes = boxes.flatten(1, 2).gather(1, index[..., None].expand(-1, -1, 4))
    return Detections(kept_boxes, scores, index // boxes.shape[2], (scores >= 0).sum(1))


def labelled_nms(
    boxes: Tensor, scores: Tensor, labels: Tensor, valid: Tensor, iou_threshold: float, max_per_image: int
) -> Detections:
    """The detections that NMS within classes leaves of candidates with a label each, without synchronising with a GPU.

    boxes [B, P, 4] float32, scores [B, P] float32, none below 0, labels [B, P], and which of them are `valid` [B, P].
    Of equal scores the first is first.
    """
    scores, order = scores.masked_fill(~valid, NOT_THERE).sort(dim=1, descending=True, stable=True)
    labels, valid = labels.gather(1, order), valid.gather(1, order)
    boxes = boxes.gather(1, order[..., None].expand(-1, -1, 4))
    apart = boxes + (labels * _step(boxes, valid)[:, None])[..., None]
    keep = batched_nms(apart, valid, iou_threshold)
    falling = torch.arange(keep.shape[1], 0, -1, device=keep.device)
    left, index = falling.where(keep, 0).topk(min(max_per_image, keep.shape[1]))
    kept_boxes = boxes.gather(1, index[..., None].expand(-1, -1, 4))
    return Detections(kept_boxes, scores.gather(1, index), labels.gather(1, index), (left > 0).sum(1))


def _score_of(keys: Tensor) -> Tensor:
    return (keys >> SCORE_SHIFT).int().view(torch.float32)


def _classes_apart(boxes: Tensor, exists: Tensor) -> Tensor:
    """[B, K, N, 4] moved by class, as mmcv moves the candidates of an image to suppress all classes in one call.

    Segments need no such distance, but the sums are rounded (to 1/128 pixel for 80 classes of large images), and an IoU
    near the threshold depends on it.
    """
    label = torch.arange(boxes.shape[1], dtype=boxes.dtype, device=boxes.device)
    return boxes + (label * _step(boxes, exists)[:, None])[..., None, None]


def _step(boxes: Tensor, exists: Tensor) -> Tensor:
    """How far from class to class mmcv moves the boxes [B, ..., 4] of an image that exist [B, ...]: [B]."""
    return boxes.where(exists[..., None], -torch.inf).flatten(1).amax(1) + 1
