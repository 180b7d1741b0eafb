"""mmdet's head of Conditional DETR (arXiv 2108.06152) for all layers and images at once."""

import torch
from mmdet.models.dense_heads import ConditionalDETRHead as MMDetConditionalDETRHead
from torch import Tensor

from swin_mmdet.detectors.detr_head import DETRHead
from swin_mmdet.ops.coordinates import inverse_sigmoid
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class ConditionalDETRHead(DETRHead, MMDetConditionalDETRHead):
    """mmdet's `ConditionalDETRHead`: same parameters, arguments, losses and detections."""

    def forward(  # type: ignore[override]  # mmdet's detector has references
        self, hidden_states: Tensor, references: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits [S, B, P, classes] and boxes [S, B, P, 4] float32 of states [S, B, P, C] and references [B, P, 2]."""
        changes = self._changes(hidden_states)
        center = changes[..., :2] + inverse_sigmoid(references)
        return self.fc_cls(hidden_states), torch.cat([center, changes[..., 2:]], -1).sigmoid()
