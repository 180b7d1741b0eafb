"""mmdet's head of RetinaNet (arXiv 1708.02002) for a batch at once: no loop over images, no synchronisation."""

from collections.abc import Sequence

from mmdet.models.dense_heads import RetinaHead as MMDetRetinaHead
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.dense_head import BatchedDenseHead
from swin_mmdet.detectors.maps import flatten_maps
from swin_mmdet.detectors.matching import count_chosen, regression, rule_of, weighted_loss, why_not_assigned
from swin_mmdet.ops.box_assignment import assign_boxes
from swin_mmdet.ops.log import log_once
from swin_mmdet.registry import MODELS
from swin_mmdet.structures import gather_objects


@MODELS.register_module()
class RetinaHead(BatchedDenseHead, MMDetRetinaHead):
    """mmdet's `RetinaHead`: same parameters, arguments, losses and detections.

    Each loss is one number, not one a level. What is set otherwise than in RetinaNet (another assigner, sampler, coder,
    loss of classes or NMS) runs as in mmdet; the log says so.
    """

    def loss_by_feat(
        self,
        cls_scores: list[Tensor],
        bbox_preds: list[Tensor],
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_cls` and `loss_bbox`, each []; arguments as in mmdet."""
        reason = self._why_not_trained() or why_not_assigned(self.assigner, batch_gt_instances_ignore)
        if reason is not None:
            log_once(f'RetinaHead: training as in mmdet: {reason}')
            return super().loss_by_feat(
                cls_scores, bbox_preds, batch_gt_instances, batch_img_metas, batch_gt_instances_ignore
            )
        anchors, inside = self._anchors_of(cls_scores, batch_img_metas)
        objects = gather_objects(batch_gt_instances)
        assigned = assign_boxes(anchors[None], inside, objects.boxes, objects.counts, rule_of(self.assigner))
        count = count_chosen(assigned > 0)
        deltas = flatten_maps(bbox_preds, 4)
        predicted, target = regression(
            anchors.expand_as(deltas), deltas, objects.boxes, assigned, self.bbox_coder, self.reg_decoded_bbox
        )
        weight = (assigned > 0).float().flatten()
        return {
            'loss_cls': self._class_loss(cls_scores, assigned, objects, count),
            'loss_bbox': weighted_loss(self.loss_bbox, predicted.flatten(0, 1), target.flatten(0, 1), weight, count),
        }

    def why_not_recorded(self) -> str | None:
        """None when a training step asks the device nothing, whatever its batch, else why in words."""
        return self._why_not_trained() or why_not_assigned(self.assigner, None)
