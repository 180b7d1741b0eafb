"""Quality focal loss of many logits (arXiv 2006.04388, equation 5): a class is as likely as its box overlaps.

Of a logit x with the target t and p = sigmoid(x) it is |t - p|**beta times the cross entropy of p and t. Only what is
given is kept for the gradient, which is made anew from that.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


def quality_focal_loss(
    logits: Tensor, labels: Tensor, quality: Tensor, beta: float, weight: Tensor | None = None
) -> Tensor:
    """The sum over N predictions of the loss of all classes, in float32 or float64: [..., N, K] -> [...].

    Of class `labels` [..., N] int64 the target is `quality` [..., N], of others 0; label K is background. Each counts
    `weight` [..., N] times, or once. Only logits have a gradient.
    """
    return _QualityFocalLoss.apply(logits, labels, quality, beta, weight)


class _QualityFocalLoss(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: FunctionCtx, logits: Tensor, labels: Tensor, quality: Tensor, beta: float, weight: Tensor | None
    ) -> Tensor:
        ctx.save_for_backward(logits, labels, quality, weight)
        ctx.beta = beta
        x, target = _wide(logits), _targets(logits, labels, quality)
        loss = F.binary_cross_entropy_with_logits(x, target, reduction='none')
        loss = loss.mul_(target.sub_(x.sigmoid()).abs_().pow_(beta))
        # no product of vectors, which autocast would take in low precision
        return loss.sum((-2, -1)) if weight is None else (loss.sum(-1) * weight).sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        logits, labels, quality, weight = ctx.saved_tensors
        x, target = _wide(logits), _targets(logits, labels, quality)
        slope = F.binary_cross_entropy_with_logits(x, target, reduction='none').mul_(ctx.beta)
        p = x.sigmoid()
        # of the cross entropy the slope is the error
        error = target.neg_().add_(p)
        slope.mul_(p.mul_(1 - p)).mul_(error.sign()).add_(error.abs().mul_(error))
        slope.mul_(error.abs_().pow_(ctx.beta - 1))
        grad = grad[..., None] if weight is None else grad[..., None] * weight
        return slope.mul_(grad[..., None]).to(logits.dtype), None, None, None, None


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _targets(logits: Tensor, labels: Tensor, quality: Tensor) -> Tensor:
    """[..., N, K]."""
    is_class = labels[..., None] == torch.arange(logits.shape[-1], device=logits.device)
    return torch.where(is_class, quality[..., None].to(torch.promote_types(logits.dtype, torch.float32)), 0)
