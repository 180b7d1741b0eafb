"""mmdet's head of ATSS (arXiv 1912.02424) for a batch at once: no loop over images, no synchronisation."""

from collections.abc import Sequence

import torch
from mmdet.models.dense_heads import ATSSHead as MMDetATSSHead
from mmdet.models.losses import CrossEntropyLoss
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.dense_head import BatchedDenseHead
from swin_mmdet.detectors.elementwise import CLASS_LOSSES, why_not_elementwise
from swin_mmdet.detectors.maps import flatten_maps
from swin_mmdet.detectors.matching import count_chosen, regression, weighted_loss, why_not_adaptive
from swin_mmdet.ops.adaptive_assignment import assign_adaptively
from swin_mmdet.ops.log import log_once
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import gather_objects, training_batch


@MODELS.register_module()
class ATSSHead(BatchedDenseHead, MMDetATSSHead):
    """mmdet's `ATSSHead`: same parameters, arguments, losses and detections.

    Each loss is one number, not one a level. What is set otherwise than in ATSS (another assigner, sampler, coder, loss
    of classes or NMS) runs as in mmdet; the log says so.
    """

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        centernesses: list[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_cls`, `loss_bbox` and `loss_centerness`, each []; arguments as in mmdet."""
        reason = self._why_not_trained() or why_not_adaptive(self.assigner, batch_gt_instances_ignore)
        if reason is not None:
            log_once(f'ATSSHead: training as in mmdet: {reason}')
            return super().loss_by_feat(
                cls_scores, bbox_preds, centernesses, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore
            )
        anchors, inside = self._anchors_of(cls_scores, batch_img_metas)
        objects = gather_objects(batch_gt_instances)
        assigned = assign_adaptively(
            anchors,
            inside,
            [one[0].numel() // self.cls_out_channels for one in cls_scores],
            objects.boxes,
            objects.counts if training_batch(batch_gt_instances) else [len(one.bboxes) for one in batch_gt_instances],
            self.assigner.topk,
        )
        deltas = flatten_maps(bbox_preds, 4)
        predicted, target = regression(
            anchors.expand_as(deltas), deltas, objects.boxes, assigned, self.bbox_coder, is_decoded=True
        )
        positive = assigned > 0
        centerness = torch.where(positive, _centerness(anchors, target), 0)
        # one after the other as in mmdet, whose code another process may run, for regions to ignore
        count, total = reduce_mean(count_chosen(positive).float()), reduce_mean(centerness.sum())
        centers = flatten_maps(centernesses, 1)
        return {
            'loss_cls': self._class_loss(cls_scores, assigned, objects, count),
            'loss_bbox': weighted_loss(
                self.loss_bbox, predicted.flatten(0, 1), target.flatten(0, 1), centerness.flatten(), total.clamp(min=1)
            ),
            'loss_centerness': weighted_loss(
                self.loss_centerness, centers.flatten(), centerness.flatten(), positive.float().flatten(), count
            ),
        }

    def why_not_recorded(self) -> str | None:
        """None when a training step asks the device nothing, whatever its batch, else why in words."""
        return self._why_not_trained() or why_not_adaptive(self.assigner, None)

    def _why_not_trained(self) -> str | None:
        if not self.reg_decoded_bbox:
            return 'reg_decoded_bbox=False'
        if type(self.loss_centerness) is not CrossEntropyLoss or not self.loss_centerness.use_sigmoid:
            return f'loss_centerness is {self.loss_centerness}'
        reason = why_not_elementwise('loss_centerness', self.loss_centerness, CLASS_LOSSES)
        return reason or super()._why_not_trained()


def _centerness(anchors: Tensor, boxes: Tensor) -> Tensor:
    """How central the centers of anchors [N, 4] are in boxes [B, N, 4], FCOS (arXiv 1904.01355, equation 3): [B, N].

    Between 0 and 1 for those inside, for others anything.
    """
    center = (anchors[:, :2] + anchors[:, 2:]) / 2
    before, after = center - boxes[..., :2], boxes[..., 2:] - center
    return (torch.minimum(before, after) / torch.maximum(before, after)).prod(-1).sqrt()
