"""mmdet's R-CNN head for a batch at once: training synchronises once, to learn how many regions have objects."""

from collections.abc import Sequence
from functools import partial

from mmdet.models.roi_heads import StandardRoIHead as MMDetStandardRoIHead
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import SampleList
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.matching import why_not_matched
from swin_mmdet.detectors.prediction import BatchedPrediction
from swin_mmdet.detectors.region_losses import (
    MaskRegionsLater,
    box_loss,
    mask_loss,
    why_not_box_loss,
    why_not_mask_loss,
    why_not_weighted,
)
from swin_mmdet.detectors.region_sampling import classify_used, sample_regions, why_not_asked
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.roi_align import channels_innermost
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import boxes_of, gather_objects, training_batch


@MODELS.register_module()
class StandardRoIHead(BatchedPrediction, MMDetStandardRoIHead):
    """mmdet's `StandardRoIHead`, of Faster and Mask R-CNN: same parameters, arguments, losses and detections.

    What is set otherwise (another assigner, sampler, loss or head) trains or predicts as in mmdet; the log says so.
    """

    def loss(
        self, x: Sequence[Tensor], rpn_results_list: Sequence[InstanceData], batch_data_samples: SampleList
    ) -> dict[str, Tensor]:
        """`loss_cls`, `acc`, `loss_bbox` and `loss_mask`; arguments as in mmdet."""
        instances, ignored, _ = unpack_gt_instances(batch_data_samples)
        reason = self._why_not_batched(ignored)
        if reason is not None:
            log_once(f'StandardRoIHead: training as in mmdet: {reason}')
            return super().loss(x, list(rpn_results_list), batch_data_samples)
        objects = gather_objects(instances)
        x = channels_innermost(x)
        regions = sample_regions(
            *boxes_of(rpn_results_list), objects, self.bbox_assigner, self.bbox_sampler, self.bbox_head.num_classes
        )
        waiting = MaskRegionsLater(regions, instances) if self.with_mask else None
        rois = regions.rois()
        asks = training_batch(instances) is None
        scores, deltas = classify_used(self.bbox_head, partial(self._bbox_forward, x), rois, regions, asks=asks)
        losses = box_loss(self.bbox_head, scores, deltas, regions, objects, self.train_cfg.pos_weight)
        if waiting is not None:
            chosen = waiting.get()
            predicted = self._mask_forward(x, rois[chosen.indices])['mask_preds']
            losses |= mask_loss(self.mask_head, predicted, regions, chosen, self.train_cfg)
        return losses

    def why_not_recorded(self) -> str | None:
        """None when a training step asks the device nothing, whatever its batch, else why in words."""
        reason = self._why_not_batched([]) or why_not_asked(self.bbox_head)
        return reason or (why_not_weighted(self.mask_head) if self.with_mask else None)

    def _why_not_batched(self, ignored: Sequence[InstanceData]) -> str | None:
        """None when training is that of Faster or Mask R-CNN, else why in words."""
        if not self.with_bbox:
            return 'there is no box head'
        reason = why_not_matched(self.bbox_assigner, self.bbox_sampler, ignored) or why_not_box_loss(self.bbox_head)
        if reason is None and self.with_mask:
            reason = why_not_mask_loss(self.mask_head, self.train_cfg)
            if self.share_roi_extractor:
                reason = 'the mask head shares the regions of the box head'
        return reason
