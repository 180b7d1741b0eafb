"""Losses that mmdet has not: of boxes between two points, and of foreground maps (RepPoints V2, section 3.2)."""

import torch.nn.functional as F
from mmdet.models.losses import GIoULoss
from torch import Tensor, nn

from swin_mmdet.registry import MODELS


@MODELS.register_module()
class RPDGIoULoss(GIoULoss):
    """mmdet's GIoU loss of boxes that reach one unit further right and down, as the official code has it.

    Two points start at the same place and may change sides. mmdet's loss has no gradient for a box without area that
    an object contains, and no lower bound for one with right and left exchanged.
    """

    def forward(self, pred: Tensor, target: Tensor, *args, **kwargs) -> Tensor:
        """Of boxes [n, 4] in units of the box that a level starts with; the rest as of mmdet's loss."""
        unit = pred.new_tensor([0, 0, 1, 1])
        return super().forward(pred + unit, target + unit, *args, **kwargs)


@MODELS.register_module()
class SEPFocalLoss(nn.Module):
    """Focal loss whose positives are a weighted mean of their own: every object counts the same, whatever its size.

    alpha * sum_pos(w (1 - p)**gamma (-log p)) / sum_pos(w) + (1 - alpha) * sum_neg(p**gamma (-log(1 - p))) / avg_factor
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.gamma, self.alpha, self.loss_weight = gamma, alpha, loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor, avg_factor: Tensor | float) -> Tensor:
        """Of logits, targets of 0 and 1 and the weights of positives, all of one shape."""
        prob = pred.sigmoid()
        positive = -F.logsigmoid(pred) * (1 - prob) ** self.gamma * weight * target
        negative = -F.logsigmoid(-pred) * prob**self.gamma * (1 - target)
        total = (weight * target).sum().clamp(min=1e-12)
        loss = self.alpha * positive.sum() / total + (1 - self.alpha) * negative.sum() / avg_factor
        return self.loss_weight * loss
