"""Focal loss of many logits (arXiv 1708.02002, equation 5), of which only the logits are kept for the gradient.

With f(x) = sigmoid(x)**gamma * softplus(x) the loss of a logit is alpha * f(-x) for the class of its anchor and
(1 - alpha) * f(x) for all others, of which there are nearly all: these are made in one go, and those of classes put in
their place. Nothing synchronises with the GPU, and there are no targets for each class.
"""

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable


def focal_loss(logits: Tensor, labels: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
    """The sum over anchors of weight [N] times the loss of all classes: logits [..., N, K], labels [..., N] -> [...].

    Labels are int64, K is background. Computed in float32, or float64 of such logits.
    """
    return _FocalLoss.apply(logits, labels, weight, gamma, alpha)


def focal_loss_of_targets(logits: Tensor, targets: Tensor, gamma: float, alpha: float) -> Tensor:
    """The loss of each logit, for targets of 0 and 1 of its shape and type."""
    entropy = F.binary_cross_entropy_with_logits(logits, targets, reduction='none')
    p = logits.sigmoid()
    miss = p + targets - 2 * p * targets
    share = alpha * targets + (1 - alpha) * (1 - targets)
    return share * miss.pow(gamma) * entropy


class _FocalLoss(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, logits: Tensor, labels: Tensor, weight: Tensor, gamma: float, alpha: float) -> Tensor:
        ctx.save_for_backward(logits, labels, weight)
        ctx.gamma, ctx.alpha = gamma, alpha
        x = _wide(logits)
        loss = _put(_term(x, gamma).mul_(1 - alpha), alpha * _term(-_own(x, labels), gamma), labels)
        # no product of vectors, which autocast would take in low precision
        return (loss.sum(-1) * weight).sum(-1)

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, grad: Tensor) -> tuple[Tensor, None, None, None, None]:
        logits, labels, weight = ctx.saved_tensors
        x = _wide(logits)
        slope = _slope(x, ctx.gamma).mul_(1 - ctx.alpha)
        slope = _put(slope, -ctx.alpha * _slope(-_own(x, labels), ctx.gamma), labels)
        return slope.mul_((grad[..., None] * weight)[..., None]).to(logits.dtype), None, None, None, None


def _wide(x: Tensor) -> Tensor:
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _term(x: Tensor, gamma: float) -> Tensor:
    """f."""
    return x.sigmoid().pow_(gamma).mul_(F.softplus(x))


def _slope(x: Tensor, gamma: float) -> Tensor:
    """The derivative of f."""
    p = x.sigmoid()
    return F.softplus(x).mul_(1 - p).mul_(gamma).add_(p).mul_(p.pow_(gamma))


def _own(x: Tensor, labels: Tensor) -> Tensor:
    """Of each anchor's class, of any class for background: [..., N, K], [..., N] -> [..., N, 1]."""
    return x.gather(-1, labels.clamp(max=x.shape[-1] - 1)[..., None])


def _put(x: Tensor, own: Tensor, labels: Tensor) -> Tensor:
    """x [..., N, K] with own [..., N, 1] at each anchor's class, in place."""
    own = torch.where((labels < x.shape[-1])[..., None], own, _own(x, labels))
    return x.scatter_(-1, labels.clamp(max=x.shape[-1] - 1)[..., None], own)
