"""Quality focal loss of many logits (arXiv 2006.04388, equation 5): a class is as likely as its box overlaps.

Of a logit x with the target t and p = sigmoid(x) it is |t - p|**beta times the cross entropy of p and t. Only what is
given is kept for the gradient, which is made anew from that, some predictions at a time.
"""

from collections.abc import Iterator

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

# logits that are looked at in one go, at 25 bytes or so
AT_ONCE = 2**22


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
        losses = [_losses(x, label, wanted, beta) for x, label, wanted in _parts(logits, labels, quality)]
        losses = torch.cat(losses).view(labels.shape)
        # no product of vectors, which autocast would take in low precision
        return losses.sum(-1) if weight is None else (losses * weight).sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        logits, labels, quality, weight = ctx.saved_tensors
        grad = grad[..., None].expand(labels.shape) if weight is None else grad[..., None] * weight
        slopes = torch.empty_like(logits, memory_format=torch.contiguous_format)
        parts = _parts(logits, labels, quality), _parts(slopes, grad)
        for (x, label, wanted), (into, times) in zip(*parts, strict=True):
            into.copy_(_slopes(x, label, wanted, ctx.beta).mul_(times[:, None]))
        return slopes, None, None, None, None


def _parts(x: Tensor, *others: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Of [..., N, K] and [..., N] as many predictions as are looked at in one go: [n, K] and [n] each."""
    rows = max(1, AT_ONCE // max(1, x.shape[-1]))
    flat = x.flatten(0, -2), *(other.flatten() for other in others)
    return zip(*(one.split(rows) for one in flat), strict=True)


def _losses(logits: Tensor, labels: Tensor, quality: Tensor, beta: float) -> Tensor:
    """Of each prediction [n]."""
    x, target = _wide(logits), _targets(logits, labels, quality)
    loss = F.binary_cross_entropy_with_logits(x, target, reduction='none')
    return loss.mul_(target.sub_(x.sigmoid()).abs_().pow_(beta)).sum(-1)


def _slopes(logits: Tensor, labels: Tensor, quality: Tensor, beta: float) -> Tensor:
    """The derivative of each logit's loss [n, K]."""
    x, target = _wide(logits), _targets(logits, labels, quality)
    slope = F.binary_cross_entropy_with_logits(x, target, reduction='none').mul_(beta)
    p = x.sigmoid()
    # of the cross entropy the slope is the error
    error = target.neg_().add_(p)
    slope.mul_(p.mul_(1 - p)).mul_(error.sign()).add_(error.abs().mul_(error))
    return slope.mul_(error.abs_().pow_(beta - 1))


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _targets(logits: Tensor, labels: Tensor, quality: Tensor) -> Tensor:
    """[n, K]."""
    is_class = labels[:, None] == torch.arange(logits.shape[-1], device=logits.device)
    return torch.where(is_class, quality[:, None].to(torch.promote_types(logits.dtype, torch.float32)), 0)
