"""One-to-one matching of predictions with objects (arXiv 2005.12872, section 3.1), of all stages and images at once."""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from mmdet.models.task_modules import BBoxL1Cost, ClassificationCost, FocalLossCost, HungarianAssigner, IoUCost
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from swin_mmdet.ops.to_device import to_device

# of a prediction and an object whatever others there are
COSTS = BBoxL1Cost, ClassificationCost, FocalLossCost, IoUCost


class Matches(NamedTuple):
    """N pairs of a prediction and an object in B images of P predictions, in the order of these."""

    places: Tensor  # [N] int64: of the prediction among B * P
    objects: Tensor  # [N] int64: of the object among those of its image
    boxes: Tensor  # [N, 4] float32: the object's
    labels: Tensor  # [N] int64: the object's
    counts: list[int]  # pairs of each image


def why_not_matched_together(assigners: Sequence[object]) -> str | None:
    """None when one assigner's `pair_costs` are those of every stage, else why in words."""
    for assigner in assigners:
        if type(assigner) is not HungarianAssigner:
            return f'the assigner is {type(assigner).__name__}, not HungarianAssigner'
        for cost in assigner.match_costs:
            if type(cost) not in COSTS or getattr(cost, 'binary_input', False):
                return f'the assigner has the cost {type(cost).__name__}'
    settings = [[(type(cost), vars(cost)) for cost in assigner.match_costs] for assigner in assigners]
    return None if all(one == settings[0] for one in settings) else 'the costs of matching differ between stages'


@torch.no_grad()
def pair_costs(
    assigner: HungarianAssigner, scores: Tensor, boxes: Tensor, instances: Sequence[InstanceData], metas: Sequence[dict]
) -> list[Tensor]:
    """What it costs to match each prediction with each object, of each image [S, P, objects].

    scores [S, B, P, C] and boxes [S, B, P, 4] of S stages and B images.
    """
    found = []
    # in mixed precision too: what costs nearly the same must not be a tie
    scores = scores.float()
    for image, (objects, meta) in enumerate(zip(instances, metas, strict=True)):
        predictions = InstanceData(scores=scores[:, image].flatten(0, 1), bboxes=boxes[:, image].flatten(0, 1))
        options = {'pred_instances': predictions, 'gt_instances': objects, 'img_meta': meta}
        costs = torch.stack([cost(**options) for cost in assigner.match_costs]).sum(0)
        found.append(costs.unflatten(0, (len(scores), -1)))
    return found


def match_cheapest(costs: Sequence[Tensor], instances: Sequence[InstanceData]) -> list[Matches]:
    """The pairs that cost least together, as many as there are predictions or objects: of each of S stages.

    `costs` [S, P, objects] of each image. Where they are on a GPU the host waits for them, once.

    Raises:
        ValueError: a cost is not a number, for a score or a box is none.
    """
    on_host = torch.cat([cost.flatten() for cost in costs]).float().cpu().split([cost.numel() for cost in costs])
    pairs, before = [], 0
    for image, (cost, values) in enumerate(zip(costs, on_host, strict=True)):
        found = [linear_sum_assignment(stage) for stage in values.view(cost.shape).numpy()]
        places, objects = np.moveaxis(np.array(found), 1, 0)
        pairs.append(np.stack([places + image * cost.shape[1], objects, objects + before], 1))
        before += cost.shape[2]
    boxes = torch.cat([image.bboxes for image in instances]).float()
    labels = torch.cat([image.labels for image in instances])
    counts = [pair.shape[2] for pair in pairs]
    # [S, 3, N]
    return [
        Matches(places, objects, boxes[among_all], labels[among_all], counts)
        for places, objects, among_all in to_device(np.concatenate(pairs, 2), boxes, torch.int64)
    ]
