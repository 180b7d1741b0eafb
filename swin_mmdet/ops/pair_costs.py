"""What it costs to match each of P predictions with each of G objects: terms of arXiv 2005.12872, equation 2.

All [..., G, P] float32: what costs nearly the same must not be a tie in mixed precision. The leading dimensions of
predictions and objects broadcast.
"""

import torch
from torch import Tensor


def probability_cost(scores: Tensor, labels: Tensor) -> Tensor:
    """Minus the probability of the object's class: logits [..., P, C], labels [..., G]."""
    return -_of_labels(scores.float().softmax(-1), labels)


def focal_cost(scores: Tensor, labels: Tensor, alpha: float, gamma: float, eps: float) -> Tensor:
    """Focal loss (arXiv 1708.02002) of the object's class, less that of background: logits [..., P, C], [..., G]."""
    p = _of_labels(scores, labels).float().sigmoid()
    negative = -(1 - p + eps).log() * (1 - alpha) * p.pow(gamma)
    positive = -(p + eps).log() * alpha * (1 - p).pow(gamma)
    return positive - negative


def token_cost(scores: Tensor, targets: Tensor, alpha: float, gamma: float, eps: float) -> Tensor:
    """Focal loss over the tokens of a text, of which each object names shares: logits [..., P, T], [..., G, T].

    A token that is none has a logit of -inf and no share of any object.
    """
    p = scores.float().sigmoid()
    negative = -(1 - p + eps).log() * (1 - alpha) * p.pow(gamma)
    positive = -(p + eps).log() * alpha * (1 - p).pow(gamma)
    with torch.autocast(scores.device.type, enabled=False):
        return targets.float() @ (positive - negative).mT + negative.sum(-1)[..., None, :]


def distance_cost(boxes: Tensor, objects: Tensor) -> Tensor:
    """The sum of differences of four numbers: [..., P, 4], [..., G, 4]."""
    return torch.cdist(objects.float(), boxes.float(), p=1)


def _of_labels(scores: Tensor, labels: Tensor) -> Tensor:
    """[..., P, C], [..., G] -> [..., G, P]."""
    index = labels[..., None].expand(*scores.shape[:-2], labels.shape[-1], scores.shape[-2])
    return scores.mT.gather(-2, index)
