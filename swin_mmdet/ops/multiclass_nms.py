"""From class scores of proposals to detections, for all images of a batch at once."""

from typing import NamedTuple

import torch
from torch import Tensor

from swin_mmdet.ops.batched_nms import batched_nms


class Detections(NamedTuple):
    """The best M of each image, best first; of image b the first `counts[b]` are detections, the rest means nothing.

    M is the most there can be: `max_per_image`, or fewer proposals times classes.
    """

    boxes: Tensor  # [B, M, 4]
    scores: Tensor  # [B, M] float32
    labels: Tensor  # [B, M] int64
    counts: Tensor  # [B] int64


def multiclass_nms(
    boxes: Tensor, scores: Tensor, valid: Tensor, score_threshold: float, iou_threshold: float, max_per_image: int
) -> Detections:
    """The detections that mmdet's `multiclass_nms` finds in each image, in its order, without waiting for a GPU.

    boxes [B, P, K, 4] or, shared by the classes, [B, P, 1, 4], float32; scores [B, P, K] of the K classes without the
    background; valid [B, P]: which proposals there are. Of those that score above `score_threshold`, NMS within each
    class leaves some, of which the best `max_per_image` are kept.

    The number of candidates is known to the GPU alone, so each class of each image is a segment of all its proposals:
    that takes P * P / 8 bytes a class for NMS (10 MB an image for 1000 proposals and 80 classes), of which only the
    parts that hold candidates are touched.
    """
    classes = scores.shape[2]
    candidate = (scores > score_threshold) & valid[..., None]
    apart = _classes_apart(boxes.expand(-1, -1, classes, -1), candidate)
    # [B, K, P], the candidates of a class first and best first
    order = scores.where(candidate, -torch.inf).mT.argsort(dim=-1, descending=True, stable=True)
    apart = apart.transpose(1, 2).gather(2, order[..., None].expand(-1, -1, -1, 4))
    keep = batched_nms(apart.flatten(0, 1), candidate.mT.gather(2, order).flatten(0, 1), iou_threshold)
    keep = torch.zeros_like(candidate.mT).scatter(2, order, keep.view_as(order)).mT
    # stable in the order of proposals, then classes: mmdet's order of equal scores
    kept, place = scores.where(keep, -torch.inf).flatten(1).sort(dim=1, descending=True, stable=True)
    kept, place = kept[:, :max_per_image], place[:, :max_per_image]
    proposal, label = place // classes, place % classes
    box = (label if boxes.shape[2] == classes else torch.zeros_like(label)) + proposal * boxes.shape[2]
    found = boxes.flatten(1, 2).gather(1, box[..., None].expand(-1, -1, 4))
    counts = keep.flatten(1).sum(1).clamp(max=max_per_image)
    return Detections(found, kept.to(boxes.dtype), label, counts)


def _classes_apart(boxes: Tensor, candidate: Tensor) -> Tensor:
    """[B, P, K, 4] moved by class, as mmcv moves the candidates of an image to suppress all classes in one call.

    Segments need no such distance, but the sums are rounded (to 1/128 pixel for 80 classes of large images), and an IoU
    near the threshold depends on it.
    """
    classes = boxes.shape[2]
    if not boxes.numel():
        return boxes
    farthest = boxes.where(candidate[..., None], -torch.inf).flatten(1).amax(1)
    label = torch.arange(classes, dtype=boxes.dtype, device=boxes.device)
    return boxes + (label * (farthest + 1)[:, None])[:, None, :, None]
