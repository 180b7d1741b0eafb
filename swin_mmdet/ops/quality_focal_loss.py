"""Quality focal loss of many logits (arXiv 2006.04388, equation 5): a class is as likely as its box overlaps."""

import torch
import torch.nn.functional as F
from torch import Tensor


def quality_focal_loss(
    logits: Tensor, labels: Tensor, quality: Tensor, beta: float, weight: Tensor | None = None
) -> Tensor:
    """The sum over N predictions of the loss of all classes, in float32 or float64: [..., N, K] -> [...].

    Of class `labels` [..., N] int64 the target is `quality` [..., N], of others 0; label K is background. Each counts
    `weight` [..., N] times, or once.
    """
    x = logits.to(torch.promote_types(logits.dtype, torch.float32))
    is_class = labels[..., None] == torch.arange(x.shape[-1], device=x.device)
    target = torch.where(is_class, quality[..., None].to(x.dtype), 0)
    loss = F.binary_cross_entropy_with_logits(x, target, reduction='none') * (target - x.sigmoid()).abs().pow(beta)
    # no product of vectors, which autocast would take in low precision
    return loss.sum((-2, -1)) if weight is None else (loss.sum(-1) * weight).sum(-1)
