"""The loss of the foreground maps (RepPoints V2, section 3.2)."""

import torch.nn.functional as F
from torch import Tensor, nn

from swin_mmdet.registry import MODELS


@MODELS.register_module()
class SEPFocalLoss(nn.Module):
    """Focal loss whose positives are a weighted mean of their own: every object counts the same, whatever its size.

    alpha * sum_pos(w (1 - p)**gamma (-log p)) / sum_pos(w) + (1 - alpha) * sum_neg(p**gamma (-log(1 - p))) / avg_factor
    """

    def __init__(self, gamma: float = 2.0, alpha: float = 0.25, loss_weight: float = 1.0) -> None:
        super().__init__()
        self.gamma, self.alpha, self.loss_weight = gamma, alpha, loss_weight

    def forward(self, pred: Tensor, target: Tensor, weight: Tensor, avg_factor: Tensor | float) -> Tensor:
        """Of logits, targets of 0 and 1 and the weights of positives, all of one shape; `weight` is 0 elsewhere."""
        prob = pred.sigmoid()
        positive = -F.logsigmoid(pred) * (1 - prob) ** self.gamma * weight * target
        negative = -F.logsigmoid(-pred) * prob**self.gamma * (1 - target)
        total = (weight * target).sum().clamp(min=1e-12)
        loss = self.alpha * positive.sum() / total + (1 - self.alpha) * negative.sum() / avg_factor
        return self.loss_weight * loss
