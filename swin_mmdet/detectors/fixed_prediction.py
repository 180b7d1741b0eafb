"""Test time of two-stage detectors in tensors of fixed shapes, so that a recording can be made of it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.detections import to_instances
from swin_mmdet.detectors.image_sizes import image_sizes
from swin_mmdet.detectors.mask_logits import mask_logits
from swin_mmdet.detectors.prediction import (
    BatchedPrediction,
    Metas,
    give_masks,
    mask_size,
    why_not_boxes,
    why_not_masks,
)
from swin_mmdet.ops.multiclass_nms import Detections, find_candidates_within
from swin_mmdet.ops.paste_masks import paste_masks
from swin_mmdet.ops.to_device import AsyncHostCopy, to_device
from swin_mmdet.structures import BatchedProposals, PredictionBatch, boxes_of, rois_of


class FixedDetections(NamedTuple):
    """In room for M detections in each of B images.

    Attributes:
        detections: boxes in pixels of the original images where they are wanted there.
        most: [] int64, candidates of a class of an image at most: if there was no room for so many, all this means
            nothing.
        masks: [B, M, S, S] probabilities, where the head has masks.
    """

    detections: Detections
    most: Tensor
    masks: Tensor | None

    def clone(self) -> 'FixedDetections':
        """The same in memory of its own."""
        masks = None if self.masks is None else self.masks.clone()
        return FixedDetections(Detections(*(x.clone() for x in self.detections)), self.most.clone(), masks)


def why_not_fixed(head: BatchedPrediction) -> str | None:
    """None when `predict_in_room` is what this head predicts from `BatchedProposals`, else why in words."""
    if head.test_cfg.nms.get('type', 'nms') != 'nms':
        return f'nms={dict(head.test_cfg.nms)}'
    reason = why_not_boxes(head._bbox_heads(), [], head.test_cfg)
    if reason is None and head.with_mask:
        reason = why_not_masks(head._mask_heads(), [], [], head.test_cfg)
    return reason


def predict_in_room(
    head: BatchedPrediction, x: tuple[Tensor, ...], batch: PredictionBatch, metas: Metas, proposals: BatchedProposals,
    rescale: bool, room: int,
) -> FixedDetections:
    """`predict` of the head without a number read on the host; metas of samples of `batch`.

    room: for so many candidates of each class of an image.
    """
    cfg = head.test_cfg
    boxes, valid = boxes_of(proposals)
    bounds = image_sizes(metas, boxes)[:, None]
    boxes, scores, deltas = head.classify(x, boxes, bounds)
    scores = scores.unflatten(0, valid.shape)[..., :-1]
    candidates, most = find_candidates_within(room, scores, valid, cfg.score_thr)
    # as mmdet does it, those with masks are rescaled when these are found
    original = metas if rescale and not head.with_mask else None
    found = head.detect(boxes, deltas, candidates, bounds, cfg, original)
    if not head.with_mask:
        return FixedDetections(found, most, None)
    there = torch.arange(found.boxes.shape[1], device=boxes.device) < found.counts[:, None]
    boxes = found.boxes.where(there[..., None], 0)
    masks = mask_logits(head, x, rois_of(boxes), found.labels.flatten()).sigmoid().mean(0)
    if rescale:
        boxes = boxes / batch.scale_factors[:, None]
    return FixedDetections(found._replace(boxes=boxes), most, masks.unflatten(0, boxes.shape[:2]))


class Numbers:
    """Those of detections that the host needs, on the way to it."""

    def __init__(self, found: FixedDetections) -> None:
        boxes, _, _, counts = found.detections
        self._shape = boxes.shape
        self._copy = AsyncHostCopy(torch.cat([found.most[None].float(), counts.float(), boxes.flatten()]))

    def wait(self) -> tuple[int, list[int], Tensor]:
        """Candidates of a class of an image at most, detections of each image, and boxes [B, M, 4] float32."""
        numbers, images = self._copy.wait(), self._shape[0]
        counts, boxes = numbers[1 : 1 + images], numbers[1 + images :]
        return int(numbers[0]), counts.int().tolist(), boxes.view(self._shape)


def to_results(
    head: BatchedPrediction, found: FixedDetections, counts: Sequence[int], boxes: Tensor, metas: Metas, rescale: bool
) -> list[InstanceData]:
    """The detections of each image, as `predict` returns them, from numbers of the host.

    The host synchronises with the current stream to fetch the run lengths of masks.
    """
    results = to_instances(found.detections, counts)
    if found.masks is not None:
        _paste(head, found.masks, boxes, results, metas, rescale)
    return results


def _paste(
    head: BatchedPrediction, masks: Tensor, boxes: Tensor, results: Sequence[InstanceData], metas: Metas, rescale: bool
) -> None:
    """Masks [B, M, S, S] of boxes [B, M, 4] on the host to the results that have them."""
    room = boxes.shape[1]
    sizes = [mask_size(meta, rescale) for meta in metas]
    counts = torch.tensor([len(one) for one in results])
    there = (torch.arange(room) < counts[:, None]).flatten().nonzero()[:, 0]
    each = torch.tensor(sizes).repeat_interleave(counts, 0)
    own = masks.flatten(0, 1)[to_device(there.numpy(), masks, torch.int64)]
    give_masks(results, paste_masks(own, boxes.flatten(0, 1)[there], each, head.test_cfg.mask_thr_binary), sizes)
