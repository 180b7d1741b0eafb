"""Faster, Mask and Cascade R-CNN and HTC as programs."""

from collections.abc import Callable
from functools import partial

import torch
from mmdet.models.roi_heads import CascadeRoIHead
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.mask_logits import mask_logits, semantic_features
from swin_mmdet.detectors.prediction import why_not_boxes
from swin_mmdet.detectors.region_losses import own_deltas
from swin_mmdet.export.fixed_number import (
    NOTHING,
    best,
    decode,
    results,
    rows_of,
    suppress,
    take,
    why_not_suppressed,
    without_small,
)
from swin_mmdet.export.program import Program
from swin_mmdet.structures.sampled_regions import rois_of

# of an image, in place of those of whatever type they will be: they are float32
_NO_PROPOSALS = [InstanceData(bboxes=torch.empty(0, 4))]

# pairs of a proposal and a class that NMS looks at: the best of those above the threshold
MOST_CANDIDATES = 2000


class TwoStage(Program):
    """Masks, where there are any, are [B, M, S, S]: probabilities inside the boxes."""

    def __init__(self, model: nn.Module, *, half: bool = False) -> None:
        super().__init__(model, half=half)
        if self.model.roi_head.with_mask:
            self.names = (*self.names, 'masks')

    @staticmethod
    def rules(model: nn.Module) -> ConfigDict:
        return model.roi_head.test_cfg

    @classmethod
    def why_not(cls, model: nn.Module) -> str | None:
        rpn, roi_head = model.rpn_head, model.roi_head
        if not rpn.use_sigmoid_cls:
            return 'the RPN classifies without sigmoid'
        heads = [head for head, _ in _stages(roi_head)]
        reason = why_not_suppressed(rpn.test_cfg) or why_not_suppressed(roi_head.test_cfg)
        return reason or why_not_boxes(heads, _NO_PROPOSALS, roi_head.test_cfg)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        maps = self.maps(images, sizes)
        roi_head = self.model.roi_head
        semantic = semantic_features(roi_head, maps)
        boxes, scores, labels = self._detect(maps, *self._propose(maps, sizes), sizes, semantic)
        if not roi_head.with_mask:
            return boxes, scores, labels
        logits = mask_logits(roi_head, maps, rois_of(boxes), labels.flatten().clamp(min=0), **semantic)
        masks = logits.float().sigmoid().mean(0)
        return boxes, scores, labels, masks.unflatten(0, labels.shape)

    def _propose(self, maps: tuple[Tensor, ...], sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Boxes [B, P, 4] and which of them there are [B, P]."""
        head = self.model.rpn_head
        cfg = head.test_cfg
        boxes, scores, levels = [], [], []
        for level, (score, deltas) in enumerate(zip(*head(maps), strict=True)):
            value, place = best(rows_of(score, 1)[..., 0].sigmoid(), cfg.nms_pre)
            anchors = head.prior_generator.single_level_grid_priors(score.shape[-2:], level, device=score.device)
            box = decode(head.bbox_coder, anchors[place], take(rows_of(deltas, 4), place), sizes)
            boxes.append(box)
            scores.append(without_small(value, box, cfg.get('min_bbox_size', -1)))
            levels.append(torch.full_like(place, level))
        boxes, scores, levels = (torch.cat(part, 1) for part in (boxes, scores, levels))
        scores, place = suppress(boxes, scores, levels, cfg.nms.iou_threshold, cfg.max_per_img)
        exists = scores > NOTHING
        return torch.where(exists[..., None], take(boxes, place), 0.0), exists

    def _detect(
        self, maps: tuple[Tensor, ...], boxes: Tensor, exists: Tensor, sizes: Tensor, semantic: dict[str, Tensor]
    ) -> tuple[Tensor, Tensor, Tensor]:
        cfg = self.model.roi_head.test_cfg
        stages, every = _stages(self.model.roi_head), []
        for number, (head, forward) in enumerate(stages, start=1):
            found = forward(maps, rois_of(boxes), **semantic)
            every.append(found['cls_score'].float())
            deltas = found['bbox_pred'].float()
            if number < len(stages):
                labels = every[-1][:, :-1].argmax(1).view(exists.shape)
                boxes = decode(head.bbox_coder, boxes, own_deltas(head, deltas, labels), sizes)
        scores = (sum(every[1:], every[0]) / len(every)).softmax(-1)[:, :-1]
        classes = scores.shape[1]
        scores = scores.unflatten(0, exists.shape)
        scores = torch.where((scores > cfg.score_thr) & exists[..., None], scores, NOTHING).flatten(1)
        scores, place = best(scores, MOST_CANDIDATES)
        proposal = place // classes
        labels = place - proposal * classes
        deltas = deltas.reshape(len(exists), -1, 4)
        deltas = take(deltas, proposal if head.reg_class_agnostic else place)
        boxes = decode(head.bbox_coder, take(boxes, proposal), deltas, sizes)
        scores, place = suppress(boxes, scores, labels, cfg.nms.iou_threshold, cfg.max_per_img)
        return results(take(boxes, place), scores, labels.gather(1, place))



def _stages(roi_head: nn.Module) -> list[tuple[nn.Module, Callable[..., dict]]]:
    """Of each stage its head, and what takes maps and rois [B * P, 5] to its scores and deltas."""
    if isinstance(roi_head, CascadeRoIHead):
        return [(head, partial(roi_head._bbox_forward, stage)) for stage, head in enumerate(roi_head.bbox_head)]
    return [(roi_head.bbox_head, roi_head._bbox_forward)]
