"""What it costs to match predicted masks with true ones (arXiv 2112.01527), of all layers and images at once."""

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.task_modules import (
    ClassificationCost,
    CrossEntropyLossCost,
    DiceCost,
    FocalLossCost,
    HungarianAssigner,
)
from torch import Tensor

from swin_mmdet.ops.pair_costs import focal_cost, probability_cost


class SampledMasks(NamedTuple):
    """Predictions and truth of S layers and B images at the same P points; all float32."""

    scores: Tensor  # [S, B, Q, classes] logits
    logits: Tensor  # [S, B, Q, P]
    labels: Tensor  # [B, G] int64
    masks: Tensor  # [S, B, G, P]


def _class_cost(_cost: ClassificationCost, sampled: SampledMasks) -> Tensor:
    return probability_cost(sampled.scores, sampled.labels)


def _focal_cost(cost: FocalLossCost, sampled: SampledMasks) -> Tensor:
    if not cost.binary_input:
        return focal_cost(sampled.scores, sampled.labels, cost.alpha, cost.gamma, cost.eps)
    p = sampled.logits.sigmoid()
    negative = -(1 - p + cost.eps).log() * (1 - cost.alpha) * p.pow(cost.gamma)
    positive = -(p + cost.eps).log() * cost.alpha * (1 - p).pow(cost.gamma)
    total = sampled.masks @ (positive - negative).mT + negative.sum(-1)[..., None, :]
    return total / p.shape[-1]


def _cross_entropy_cost(_cost: CrossEntropyLossCost, sampled: SampledMasks) -> Tensor:
    """The loss of a pixel x is softplus(x) - x * truth."""
    logits = sampled.logits
    return (F.softplus(logits).sum(-1)[..., None, :] - sampled.masks @ logits.mT) / logits.shape[-1]


def _dice_cost(cost: DiceCost, sampled: SampledMasks) -> Tensor:
    p = sampled.logits.sigmoid() if cost.pred_act else sampled.logits
    both = p, sampled.masks
    own, true = (one.sum(-1) for one in both) if cost.naive_dice else (one.square().sum(-1) for one in both)
    return 1 - (2 * sampled.masks @ p.mT + cost.eps) / (own[..., None, :] + true[..., None] + cost.eps)


# what of mmdet is known here
COSTS: dict[type, Callable[..., Tensor]] = {
    ClassificationCost: _class_cost,
    CrossEntropyLossCost: _cross_entropy_cost,
    DiceCost: _dice_cost,
    FocalLossCost: _focal_cost,
}


def why_not_matched(assigner: Any) -> str | None:
    """None when `mask_costs` are those of this assigner, else why in words."""
    if type(assigner) is not HungarianAssigner:
        return f'the assigner is {type(assigner).__name__}, not HungarianAssigner'
    for cost in assigner.match_costs:
        if type(cost) not in COSTS or not getattr(cost, 'use_sigmoid', True):
            return f'the assigner has the cost {type(cost).__name__}'
    return None


@torch.no_grad()
def mask_costs(assigner: HungarianAssigner, sampled: SampledMasks) -> Tensor:
    """What it costs to match each query with each true mask: [S, B, G, Q] float32, whatever autocast does."""
    with torch.autocast(sampled.logits.device.type, enabled=False):
        costs = [cost.weight * COSTS[type(cost)](cost, sampled) for cost in assigner.match_costs]
    return sum(costs[1:], costs[0])
