"""Sparse R-CNN as a program."""

import torch
from mmengine.config import ConfigDict
from torch import Tensor, nn

from swin_mmdet.detectors.sparse_roi_head import why_not_refined
from swin_mmdet.export.fixed_number import NOTHING, decode, results, take
from swin_mmdet.export.program import Program
from swin_mmdet.ops.box_overlaps import corners_of
from swin_mmdet.structures.sampled_regions import rois_of


class Sparse(Program):
    @staticmethod
    def rules(model: nn.Module) -> ConfigDict:
        return model.roi_head.test_cfg

    @classmethod
    def why_not(cls, model: nn.Module) -> str | None:
        if model.roi_head.with_mask:
            return 'it has masks (QueryInst), and boxes alone are exported'
        reasons = [why_not_refined(head) for head in model.roi_head.bbox_head]
        return next(filter(None, reasons), None)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        maps = self.maps(images, sizes)
        rpn, roi_head = self.model.rpn_head, self.model.roi_head
        sides = sizes.flip(1).repeat(1, 2)[:, None]
        boxes = corners_of(rpn.init_proposal_bboxes.weight.float()) * sides
        features = rpn.init_proposal_features.weight.expand(len(images), -1, -1)
        for head, extractor in zip(roi_head.bbox_head, roi_head.bbox_roi_extractor, strict=True):
            regions = extractor(maps[: extractor.num_inputs], rois_of(boxes))
            logits, deltas, features, _ = head(regions, features)
            boxes = decode(head.bbox_coder, boxes, deltas.view_as(boxes), sizes)
        cfg, classes = roi_head.test_cfg, logits.shape[-1]
        scores, place = logits.float().sigmoid().flatten(1).topk(cfg.max_per_img)
        query = place // classes
        scores = torch.where(scores >= cfg.get('score_thr', 0.0), scores, NOTHING)
        return results(take(boxes, query), scores, place - query * classes)
