"""Focal losses, -alpha * (1 - p)**gamma * log(p), unreduced. target [N] holds class indices, weight [C] or is empty."""

import torch
from torch import Tensor

from swin_mmdet.compat.mmcv_ops.precision import widen

TINY = torch.finfo(torch.float32).tiny


def sigmoid_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write the loss of each logit, input [N, C] -> output [N, C]; target C is background."""
    _check_target(target, largest=input.shape[1])
    logits, weight = widen(input, weight)
    positive, scale = _one_hot(target, logits), _class_weight(target, weight)
    p = logits.sigmoid()
    positive_loss = -alpha * (1 - p) ** gamma * p.clamp(min=TINY).log()
    negative_loss = -(1 - alpha) * p ** gamma * (1 - p).clamp(min=TINY).log()
    output.copy_(torch.where(positive, positive_loss, negative_loss) * scale[:, None])


def sigmoid_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write d loss / d logit, for an incoming gradient of one: grad_input [N, C]."""
    logits, weight = widen(input, weight)
    positive, scale = _one_hot(target, logits), _class_weight(target, weight)
    p = logits.sigmoid()
    positive_grad = -alpha * (1 - p) ** gamma * (1 - p - gamma * p * p.clamp(min=TINY).log())
    negative_grad = -(1 - alpha) * p ** gamma * (gamma * (1 - p) * (1 - p).clamp(min=TINY).log() - p)
    grad_input.copy_(torch.where(positive, positive_grad, negative_grad) * scale[:, None])


def softmax_focal_loss_forward(
    input: Tensor, target: Tensor, weight: Tensor, output: Tensor, gamma: float, alpha: float
) -> None:
    """Write the loss of each row, 0 where target < 0: softmax probabilities input [N, C] -> output [N]."""
    _check_target(target, largest=input.shape[1] - 1)
    p, valid, scale = _target_probability(input, target, weight)
    output.copy_((-alpha * (1 - p) ** gamma * p.clamp(min=TINY).log() * scale).where(valid, 0))


def softmax_focal_loss_backward(
    input: Tensor, target: Tensor, weight: Tensor, buff: Tensor, grad_input: Tensor, gamma: float, alpha: float
) -> None:
    """Write d loss / d logit, for an incoming gradient of one: grad_input [N, C]; buff [N] is its factor per row."""
    p, valid, scale = _target_probability(input, target, weight)
    factor = alpha * (gamma * (1 - p) ** (gamma - 1) * p * p.clamp(min=TINY).log() - (1 - p) ** gamma) * scale
    factor = factor.where(valid, 0)
    (probability,) = widen(input)
    buff.copy_(factor)
    grad_input.copy_(factor[:, None] * (_one_hot(target, probability).to(probability) - probability))


def _one_hot(target: Tensor, like: Tensor) -> Tensor:
    """[N] -> bool [N, C]; a target outside 0..C-1 has no column."""
    return target[:, None] == torch.arange(like.shape[1], device=like.device)


def _class_weight(target: Tensor, weight: Tensor) -> Tensor:
    """The weight of each row's class [N]; 1 for background, which has none of its own."""
    if not weight.numel():
        return weight.new_ones(len(target))
    foreground = (target >= 0) & (target < len(weight))
    return weight[target.where(foreground, 0)].where(foreground, 1)


def _check_target(target: Tensor, largest: int) -> None:
    # a GPU would be waited for, in every loss; mmcv's own kernels do not ask either
    if not target.is_cuda and target.numel() and target.max() > largest:
        raise ValueError(f'target must be at most {largest}, got {target.max().item()}')


def _target_probability(input: Tensor, target: Tensor, weight: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Probability of the target class, whether there is one, and its class weight: three [N]."""
    probability, weight = widen(input, weight)
    scale = _class_weight(target, weight)
    valid = target >= 0
    return probability.gather(1, target.where(valid, 0)[:, None])[:, 0], valid, scale
