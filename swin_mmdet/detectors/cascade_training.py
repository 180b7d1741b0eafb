"""Training of mmdet's cascades of R-CNN heads for a batch at once: boxes are refined where they are."""

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import torch
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.task_modules import BaseAssigner, BaseSampler
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.image_sizes import image_shapes
from swin_mmdet.detectors.matching import coding_of, why_not_matched
from swin_mmdet.detectors.region_losses import (
    MaskRegionsLater,
    box_loss,
    mask_loss,
    own_deltas,
    why_not_box_loss,
    why_not_mask_loss,
    why_not_weighted,
)
from swin_mmdet.detectors.region_sampling import classify_used, sample_regions, why_not_asked
from swin_mmdet.ops.box_deltas import clip_boxes, decode_boxes
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.roi_align import channels_innermost
from swin_mmdet.structures import SampledRegions, boxes_of, gather_objects, training_batch

if TYPE_CHECKING:
    from mmdet.models.roi_heads import CascadeRoIHead as Base
else:
    Base = object


class BatchedCascadeTraining(Base):
    """Goes before mmdet's `CascadeRoIHead`, or HTC's, in the bases of a class: the same losses, found in one go.

    The host synchronises with a GPU once a stage, to learn how many masks it has; by then that has arrived. A batch
    norm in a box head makes it synchronise as well. What `_why_not_batched` names is left to mmdet, and logged.
    """

    # of mmdet's head, of each stage one
    bbox_head: nn.ModuleList
    mask_head: nn.ModuleList
    bbox_assigner: list[BaseAssigner]
    bbox_sampler: list[BaseSampler]
    train_cfg: list[ConfigDict]
    stage_loss_weights: list[float]
    num_stages: int
    with_bbox: bool
    with_mask: bool


    # whether a stage's masks are of the boxes that it predicts, not of those that it was given; HTC sets it
    interleaved = False

    def loss(
        self, x: Sequence[Tensor], rpn_results_list: Sequence[InstanceData], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """The losses of each stage, such as `s0.loss_cls`; arguments as in mmdet."""
        instances, ignored, metas = unpack_gt_instances(batch_data_samples)
        reason = self._why_not_batched(ignored)
        if reason is not None:
            log_once(f'{type(self).__name__}: training as in mmdet: {reason}')
            return super().loss(x, list(rpn_results_list), batch_data_samples)
        objects = gather_objects(instances)
        x = channels_innermost(x)
        losses, features = self._before_stages(x, batch_data_samples)
        boxes, valid = boxes_of(rpn_results_list)
        shapes = image_shapes(metas, boxes)
        waiting, asks = [], training_batch(instances) is None
        for stage, (weight, head, config) in enumerate(
            zip(self.stage_loss_weights, self.bbox_head, self.train_cfg, strict=True)
        ):
            self.current_stage = stage
            matching = objects, self.bbox_assigner[stage], self.bbox_sampler[stage], head.num_classes
            regions = sample_regions(boxes, valid, *matching)
            rois = regions.rois()
            forward = partial(self._bbox_forward, stage, x, **features)
            scores, deltas = classify_used(head, forward, rois, regions, asks=asks)
            own = box_loss(head, scores, deltas, regions, objects, config.pos_weight)
            losses |= of_stage(stage, own, weight)
            if self.interleaved or stage < self.num_stages - 1:
                boxes, valid = refine(head, scores, deltas, regions, shapes)
            if self.with_mask:
                if self.interleaved:
                    regions = sample_regions(boxes, valid, *matching)
                    rois = regions.rois()
                waiting.append((stage, weight, config, rois, MaskRegionsLater(regions, instances)))
        # last, for then their counts have arrived
        for stage, weight, config, rois, later in waiting:
            chosen = later.get()
            predicted = self._mask_forward(stage, x, rois[chosen.indices], **features)['mask_preds']
            own = mask_loss(self.mask_head[stage], predicted, later.regions, chosen, config)
            losses |= of_stage(stage, own, weight)
        return losses

    def _before_stages(self, _x: Sequence[Tensor], _samples: SampleList) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Losses of no stage, and what box and mask heads of every stage take besides regions, by keyword."""
        return {}, {}

    def why_not_recorded(self) -> str | None:
        """None when a training step asks the device nothing, whatever its batch, else why in words."""
        reason = self._why_not_batched([])
        for stage, head in enumerate(self.bbox_head):
            reason = reason or why_not_asked(head)
            if self.with_mask:
                reason = reason or why_not_weighted(self.mask_head[stage])
        return reason

    def _why_not_batched(self, ignored: Sequence[InstanceData]) -> str | None:
        """None when training is that of Cascade (Mask) R-CNN or HTC, else why in words."""
        if not self.with_bbox:
            return 'there is no box head'
        if self.interleaved and not self.with_mask:
            return 'interleaved=True without masks, where mmdet refines no boxes'
        for stage, head in enumerate(self.bbox_head):
            assigner, sampler = self.bbox_assigner[stage], self.bbox_sampler[stage]
            reason = why_not_matched(assigner, sampler, ignored) or why_not_box_loss(head)
            if reason is None and self.with_mask:
                reason = why_not_mask_loss(self.mask_head[stage], self.train_cfg[stage])
            if reason is not None:
                return reason
        return None


def of_stage(stage: int, losses: dict[str, Tensor], weight: float) -> dict[str, Tensor]:
    """With the stage in their names, and losses times its weight."""
    return {f's{stage}.{name}': x * weight if 'loss' in name else x for name, x in losses.items()}


@torch.no_grad()
def refine(
    head: BBoxHead, scores: Tensor, deltas: Tensor, regions: SampledRegions, shapes: Tensor
) -> tuple[Tensor, Tensor]:
    """The next stage's boxes [B, K, 4] and which there are [B, K]: those of objects themselves are not among them.

    scores [B*K, classes + 1], deltas [B*K, n], shapes [B, 2] of the images.
    """
    best = scores[:, : head.num_classes].argmax(1).view_as(regions.labels)
    labels = torch.where(regions.assigned > 0, regions.labels, best)
    coding = coding_of(head.bbox_coder)
    boxes = decode_boxes(regions.boxes, own_deltas(head, deltas, labels), coding.means, coding.stds, coding.ctr_clamp)
    if coding.clip:
        boxes = clip_boxes(boxes, shapes)
    valid = (regions.assigned >= 0) & ~regions.is_object
    return boxes.masked_fill(~valid[..., None], 0), valid
