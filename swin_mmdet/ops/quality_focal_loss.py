"""Quality focal loss of many logits (arXiv 2006.04388, equation 5): a class is as likely as its box overlaps."""

import torch
import torch.nn.functional as F
from torch import Tensor


def quality_focal_loss(logits: Tensor, labels: Tensor, quality: Tensor, beta: float) -> Tensor:
    """The sum over N predictions of the loss of all classes, in float32 or float64: [..., N, K] -> [...].

    Of class `labels` [..., N] int64 the target is `quality` [..., N], of others 0; label K is background.
    """
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    is_class = labels[..., None] == torch.arange(x.shape[-1], device=x.device)
    target = torch.where(is_class, quality[..., None].to(x.dtype), 0)
    loss = F.binary_cross_entropy_with_logits(x, target, reduction='none') * (target - x.sigmoid()).abs().pow(beta)
    return loss.sum((-2, -1))
