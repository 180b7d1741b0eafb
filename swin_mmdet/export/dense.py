"""RetinaNet and ATSS (anchors and deltas), RTMDet (points and distances) as programs."""

from collections.abc import Sequence

import torch
from mmdet.models.task_modules import DistancePointBBoxCoder
from mmengine.config import ConfigDict
from torch import Tensor, nn

from swin_mmdet.detectors.matching import why_not_coded
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
from swin_mmdet.ops.box_deltas import clip_boxes

# pairs of an anchor and a class that NMS looks at. RTMDet lets 30,000 a level through, of which it keeps 300: a
# detection falls to better ones alone, so that those left of the best are left of all
MOST_CANDIDATES = 4096


def detections(levels: Sequence[tuple[Tensor, Tensor, Tensor]], cfg: ConfigDict) -> tuple[Tensor, Tensor, Tensor]:
    """What NMS leaves of the boxes, scores and labels of levels, with the rules of a head's `test_cfg`."""
    boxes, scores, labels = (torch.cat(part, 1) for part in zip(*levels, strict=True))
    if scores.shape[1] > MOST_CANDIDATES:
        scores, place = scores.topk(MOST_CANDIDATES)
        boxes, labels = take(boxes, place), labels.gather(1, place)
    scores, place = suppress(boxes, scores, labels, cfg.nms.iou_threshold, cfg.max_per_img)
    return results(take(boxes, place), scores, labels.gather(1, place))


class Dense(Program):
    @staticmethod
    def rules(model: nn.Module) -> ConfigDict:
        return model.bbox_head.test_cfg

    @classmethod
    def why_not(cls, model: nn.Module) -> str | None:
        head = model.bbox_head
        if not head.use_sigmoid_cls:
            return f'{type(head).__name__} classifies without sigmoid'
        if head.test_cfg.get('nms_pre', -1) <= 0:
            return f'nms_pre={head.test_cfg.get("nms_pre", -1)}: there is no limit'
        coder = None if _has_distances(head) else why_not_coded(head.bbox_coder)
        return coder or why_not_suppressed(head.test_cfg)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        head = self.model.bbox_head
        cfg = head.test_cfg
        maps = head(self.maps(images, sizes))
        # `centerness` of ATSS is a factor of the scores
        factors = maps[2] if len(maps) > 2 else [None] * len(maps[0])
        levels = zip(range(len(maps[0])), maps[0], maps[1], factors)
        found = [self._of_level(*level, sizes) for level in levels]
        return detections(found, cfg)

    def _of_level(
        self, level: int, scores: Tensor, deltas: Tensor, factor: Tensor | None, sizes: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Boxes [B, P, 4], scores and labels [B, P] of the best of a level, whose maps are [B, channels, H, W]."""
        head = self.model.bbox_head
        cfg = head.test_cfg
        size, classes = scores.shape[-2:], head.cls_out_channels
        values = rows_of(scores, classes).sigmoid().flatten(1)
        values = torch.where(values > cfg.get('score_thr', 0), values, NOTHING)
        values, place = best(values, min(cfg.nms_pre, MOST_CANDIDATES))
        anchor = place // classes
        labels = place - anchor * classes
        if factor is not None:
            factor = rows_of(factor, 1)[..., 0].sigmoid().gather(1, anchor)
            values = torch.where(values > NOTHING, values * factor, NOTHING)
        priors = head.prior_generator.single_level_grid_priors(size, level, device=scores.device)[anchor]
        deltas = take(rows_of(deltas, 4), anchor)
        if _has_distances(head):
            boxes = torch.cat([priors - deltas[..., :2], priors + deltas[..., 2:]], -1)
            boxes = clip_boxes(boxes, sizes) if head.bbox_coder.clip_border else boxes
        else:
            boxes = decode(head.bbox_coder, priors, deltas, sizes)
        return boxes, without_small(values, boxes, cfg.get('min_bbox_size', -1)), labels


def _has_distances(head: nn.Module) -> bool:
    return type(head.bbox_coder) is DistancePointBBoxCoder
