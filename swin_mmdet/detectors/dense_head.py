"""What mmdet's one-stage heads with anchors share when they take a batch at once."""

from collections.abc import Sequence
from itertools import accumulate

import torch
from mmdet.models.losses import FocalLoss
from mmdet.models.task_modules import BaseBBoxCoder, BaseSampler, PseudoSampler
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.anchors import KeepsAnchors
from swin_mmdet.detectors.detections import to_instances
from swin_mmdet.detectors.elementwise import CLASS_LOSSES, why_not_elementwise
from swin_mmdet.detectors.image_sizes import in_original
from swin_mmdet.detectors.maps import flatten_maps, sizes_of
from swin_mmdet.detectors.matching import class_weight, decode_in_images, why_not_coded, without_small
from swin_mmdet.ops.focal_loss import focal_loss
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.multiclass_nms import labelled_nms
from swin_mmdet.structures import Objects


class BatchedDenseHead(KeepsAnchors):
    """Goes before a class of mmdet's `AnchorHead` in the bases of a head: the same detections, found in one go.

    The host synchronises with a GPU once for a batch, to learn how many detections there are. What is set otherwise
    than in RetinaNet or ATSS runs as in mmdet; the log says so.
    """

    # of mmdet's head
    test_cfg: ConfigDict
    num_classes: int
    cls_out_channels: int
    use_sigmoid_cls: bool
    bbox_coder: BaseBBoxCoder
    sampler: BaseSampler
    loss_cls: nn.Module
    loss_bbox: nn.Module

    @torch.no_grad()
    def predict_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        score_factors: list[Tensor] | None = None,
        batch_img_metas: Sequence[dict] = (),
        cfg: ConfigDict | None = None,
        rescale: bool = False,
        with_nms: bool = True,
    ) -> list[InstanceData]:
        """Bboxes [n, 4], scores [n] and labels [n] of each image, best first; arguments as in mmdet.

        With `rescale` in pixels of the original image. No gradient goes through them.
        """
        cfg = self.test_cfg if cfg is None else cfg
        reason = self._why_not_predicted(cfg) if with_nms else 'boxes are wanted before NMS'
        detections = reason or self._detect(cls_scores, bbox_preds, score_factors, batch_img_metas, cfg, rescale)
        if not isinstance(detections, str):
            return detections
        log_once(f'{type(self).__name__}: boxes are predicted image by image: {detections}')
        return self._detect_as_mmdet(cls_scores, bbox_preds, score_factors, batch_img_metas, cfg, rescale, with_nms)

    def _detect_as_mmdet(self, *args) -> list[InstanceData]:
        return super().predict_by_feat(*args)

    def _detect(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        score_factors: list[Tensor] | None,
        metas: Sequence[dict],
        cfg: ConfigDict,
        rescale: bool,
    ) -> list[InstanceData] | str:
        """What `predict_by_feat` returns, or why it is left to mmdet in words."""
        scores, indices, labels = best_of_levels(cls_scores, self.cls_out_channels, cfg.nms_pre)
        valid = scores > cfg.get('score_thr', 0)
        if score_factors is not None:
            scores = scores * flatten_maps(score_factors, 1)[..., 0].gather(1, indices).sigmoid()
        anchors = self._anchors.boxes(sizes_of(cls_scores), scores.device)[indices]
        deltas = flatten_maps(bbox_preds, 4).gather(1, indices[..., None].expand(-1, -1, 4))
        boxes = decode_in_images(self.bbox_coder, anchors, deltas, metas)
        if rescale:
            boxes = in_original(boxes, metas)
        valid = without_small(valid, boxes, cfg)
        detections = labelled_nms(boxes, scores.float(), labels, valid, cfg.nms.iou_threshold, cfg.max_per_img)
        return to_instances(detections, detections.counts.tolist())

    def _why_not_trained(self) -> str | None:
        """None when `_class_loss` is this head's, else why in words."""
        if type(self.sampler) is not PseudoSampler:
            return f'the sampler is {type(self.sampler).__name__}, not PseudoSampler'
        if type(self.loss_cls) is not FocalLoss:
            return f'loss_cls is {type(self.loss_cls).__name__}'
        if self.loss_cls.activated or self.loss_cls.reduction != 'mean':
            return f'loss_cls has activated={self.loss_cls.activated}, reduction={self.loss_cls.reduction}'
        reason = why_not_elementwise('loss_cls', self.loss_cls, CLASS_LOSSES)
        reason = reason or why_not_elementwise('loss_bbox', self.loss_bbox)
        return reason or why_not_coded(self.bbox_coder)

    def _why_not_predicted(self, cfg: ConfigDict) -> str | None:
        return self._why_not_detected(cfg) or why_not_coded(self.bbox_coder)

    def _why_not_detected(self, cfg: ConfigDict) -> str | None:
        """None when scores and NMS are such as are known here, else why in words."""
        if not self.use_sigmoid_cls:
            return 'classification without sigmoid'
        if getattr(self.loss_cls, 'custom_cls_channels', False):
            return f'{type(self.loss_cls).__name__} has an activation of its own'
        for limit in ('nms_pre', 'max_per_img'):
            if cfg.get(limit, -1) <= 0:
                return f'{limit}={cfg.get(limit, -1)}: there is no limit'
        nms = cfg.get('nms') or {}
        if nms.get('type') != 'nms' or set(nms) - {'type', 'split_thr'} != {'iou_threshold'}:
            return f'nms={nms}'
        return None

    def _class_loss(self, cls_scores: list[Tensor], assigned: Tensor, objects: Objects, count: Tensor) -> Tensor:
        """[], over `count` [], of the objects that anchors are assigned [B, N] to."""
        labels = objects.labels.gather(1, (assigned - 1).clamp(min=0))
        labels = torch.where(assigned > 0, labels, self.num_classes)
        weight = class_weight(assigned, self.train_cfg['pos_weight'])
        scores = flatten_maps(cls_scores, self.cls_out_channels).flatten(0, 1)
        loss = focal_loss(scores, labels.flatten(), weight.flatten(), self.loss_cls.gamma, self.loss_cls.alpha)
        return self.loss_cls.loss_weight * loss / (count + torch.finfo(torch.float32).eps)


def best_of_levels(cls_scores: Sequence[Tensor], classes: int, max_per_level: int) -> tuple[Tensor, Tensor, Tensor]:
    """Of logits [B, anchors * classes, H, W] of levels the best of each: probability, anchor and label.

    All [B, P], falling within a level; anchors are numbered through all levels.
    """
    best = []
    counts = [one[0].numel() // classes for one in cls_scores]
    for one, first in zip(cls_scores, accumulate(counts, initial=0), strict=False):
        area, anchors = one.shape[-2:].numel(), one.shape[1] // classes
        # of logits, which order as probabilities do, and where they lie: no copy of all
        logits, index = one.flatten(1).topk(min(max_per_level, one[0].numel()))
        channel, pixel = index // area, index % area
        best.append((logits.sigmoid(), first + pixel * anchors + channel // classes, channel % classes))
    return tuple(torch.cat(part, 1) for part in zip(*best, strict=True))
