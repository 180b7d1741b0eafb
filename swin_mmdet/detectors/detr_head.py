"""mmdet's head of DETR (arXiv 2005.12872) for all layers and images at once."""

from collections.abc import Sequence

from mmdet.models.dense_heads import DETRHead as MMDetDETRHead
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.box_branches import box_change
from swin_mmdet.detectors.query_head import BatchedQueryHead
from swin_mmdet.detectors.set_losses import PredictedSets, layer_names
from swin_mmdet.registry import MODELS

LOSS_CLS = {
    'type': 'CrossEntropyLoss', 'bg_cls_weight': 0.1, 'use_sigmoid': False, 'loss_weight': 1.0, 'class_weight': 1.0,
}  # fmt: skip


@MODELS.register_module()
class DETRHead(BatchedQueryHead, MMDetDETRHead):
    """mmdet's `DETRHead`: same parameters, arguments, losses and detections."""

    def __init__(self, num_classes: int, *args, loss_cls: dict = LOSS_CLS, **kwargs) -> None:
        # mmdet's class does this for itself alone, not for a subclass
        weight = loss_cls.get('class_weight') if type(self) is DETRHead else None
        if weight is None:
            super().__init__(num_classes, *args, loss_cls=loss_cls, **kwargs)
            return
        loss_cls = dict(loss_cls)
        background = loss_cls.pop('bg_cls_weight', weight)
        for name, value in (('class_weight', weight), ('bg_cls_weight', background)):
            if not isinstance(value, float):
                raise ValueError(f'DETRHead: {name} must be a float, got {value!r}')
        loss_cls['class_weight'] = [weight] * num_classes + [background]
        super().__init__(num_classes, *args, loss_cls=loss_cls, **kwargs)
        self.bg_cls_weight = background

    def forward(self, hidden_states: Tensor) -> tuple[Tensor, Tensor]:
        """Logits [S, B, P, classes] and boxes [S, B, P, 4] float32 of states [S, B, P, C]."""
        return self.fc_cls(hidden_states), self._changes(hidden_states).sigmoid()

    def _changes(self, hidden_states: Tensor) -> Tensor:
        return box_change(self.fc_reg, self.activate(self.reg_ffn(hidden_states)))

    def loss_by_feat(
        self,
        all_layers_cls_scores: Tensor,
        all_layers_bbox_preds: Tensor,
        batch_gt_instances: Sequence[InstanceData],
        batch_img_metas: Sequence[dict],
        batch_gt_instances_ignore: Sequence[InstanceData] | None = None,
    ) -> dict[str, Tensor]:
        """`loss_cls`, `loss_bbox`, `loss_iou`, and those of each layer but the last; arguments as in mmdet."""
        if batch_gt_instances_ignore is not None or self._trains_as_mmdet():
            return super().loss_by_feat(
                all_layers_cls_scores, all_layers_bbox_preds, batch_gt_instances, batch_img_metas,
                batch_gt_instances_ignore,
            )  # fmt: skip
        predicted = PredictedSets(all_layers_cls_scores, all_layers_bbox_preds, layer_names(len(all_layers_cls_scores)))
        return self._losses([predicted], batch_gt_instances, batch_img_metas)
