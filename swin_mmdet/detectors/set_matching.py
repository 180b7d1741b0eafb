"""One-to-one matching of predictions with objects (arXiv 2005.12872, section 3.1), of all layers and images at once."""

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from typing import Any, NamedTuple

import numpy as np
import torch
from mmdet.models.task_modules import (
    BBoxL1Cost,
    BinaryFocalLossCost,
    ClassificationCost,
    FocalLossCost,
    HungarianAssigner,
    IoUCost,
)
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

from swin_mmdet.ops.box_overlaps import KINDS, centers_of, overlaps
from swin_mmdet.ops.pair_costs import distance_cost, focal_cost, probability_cost, token_cost
from swin_mmdet.ops.to_device import AsyncHostCopy, to_device
from swin_mmdet.structures import Objects

# objects of an image for which an assignment takes longer than to hand it to a thread
ENOUGH_FOR_THREADS = 32
MAX_THREADS = 16


class Matches(NamedTuple):
    """N pairs of a prediction and an object, in the order of B images: of each of S layers with P predictions each."""

    indices: Tensor  # [S, N] int64: of the prediction among B * P
    objects: Tensor  # [S, N] int64: of the object among those of its image
    images: Tensor  # [S, N] int64
    boxes: Tensor  # [S, N, 4] float32: the object's
    labels: Tensor  # [S, N] int64: the object's
    counts: list[int]  # pairs of each image, the same in every layer
    tokens: Tensor | None = None  # [S, N, T] float32: the object's shares of a text's tokens; where objects have them

    def of_layer(self, layer: int) -> 'Matches':
        """Without the first dimension."""
        return self.each(lambda part: part[layer])

    def each(self, change: Callable[[Tensor], Tensor]) -> 'Matches':
        """With all tensors changed."""
        changed = {name: change(x) for name, x in self._asdict().items() if isinstance(x, Tensor)}
        return self._replace(**changed)


def _class_cost(_cost: ClassificationCost, scores: Tensor, _boxes: Tensor, objects: Objects, _sizes: Tensor) -> Tensor:
    return probability_cost(scores, objects.labels)


def _focal_cost(cost: FocalLossCost, scores: Tensor, _boxes: Tensor, objects: Objects, _sizes: Tensor) -> Tensor:
    return focal_cost(scores, objects.labels, cost.alpha, cost.gamma, cost.eps)


def _token_cost(cost: BinaryFocalLossCost, scores: Tensor, _boxes: Tensor, objects: Objects, _sizes: Tensor) -> Tensor:
    return token_cost(scores, objects.tokens, cost.alpha, cost.gamma, cost.eps)


def _l1_cost(cost: BBoxL1Cost, _scores: Tensor, boxes: Tensor, objects: Objects, sizes: Tensor) -> Tensor:
    pair = (centers_of(one) if cost.box_format == 'xywh' else one for one in (boxes, objects.boxes))
    return distance_cost(*(one / sizes[:, None] for one in pair))


def _iou_cost(cost: IoUCost, _scores: Tensor, boxes: Tensor, objects: Objects, _sizes: Tensor) -> Tensor:
    return -overlaps(boxes[..., None, :, :], objects.boxes[..., None, :], cost.iou_mode)


# what of mmdet is known here: of a prediction and an object whatever others there are
COSTS: dict[type, Callable[..., Tensor]] = {
    BBoxL1Cost: _l1_cost,
    BinaryFocalLossCost: _token_cost,
    ClassificationCost: _class_cost,
    FocalLossCost: _focal_cost,
    IoUCost: _iou_cost,
}


def why_not_matched_together(assigners: Sequence[Any]) -> str | None:
    """None when one assigner's `pair_costs` are those of every layer, else why in words."""
    for assigner in assigners:
        if type(assigner) is not HungarianAssigner:
            return f'the assigner is {type(assigner).__name__}, not HungarianAssigner'
        reason = why_not_costs(assigner.match_costs)
        if reason is not None:
            return reason
    settings = [[(type(cost), vars(cost)) for cost in assigner.match_costs] for assigner in assigners]
    return None if all(one == settings[0] for one in settings) else 'the costs of matching differ between stages'


def why_not_costs(costs: Sequence[Any]) -> str | None:
    """None when `summed_costs` knows them, else why in words."""
    for cost in costs:
        if type(cost) not in COSTS or getattr(cost, 'binary_input', False):
            return f'the assigner has the cost {type(cost).__name__}'
        if getattr(cost, 'iou_mode', 'iou') not in KINDS:
            return f'the assigner has iou_mode={cost.iou_mode}'
    return None


@torch.no_grad()
def pair_costs(assigner: HungarianAssigner, scores: Tensor, boxes: Tensor, objects: Objects, sizes: Tensor) -> Tensor:
    """What it costs to match each prediction with each object: [S, B, G, P] float32.

    Logits [S, B, P, C] and corners in pixels [S, B, P, 4] of S layers; sizes [B, 4] are the width, height, width,
    height of each image.
    """
    return summed_costs(assigner.match_costs, scores, boxes, objects, sizes)


@torch.no_grad()
def summed_costs(costs: Sequence[Any], scores: Tensor, boxes: Tensor, objects: Objects, sizes: Tensor) -> Tensor:
    """The same of costs as an assigner has them."""
    boxes = boxes.float()
    parts = [cost.weight * COSTS[type(cost)](cost, scores, boxes, objects, sizes) for cost in costs]
    return sum(parts[1:], parts[0])


class AsyncCosts:
    """Costs of some sets of predictions, on their way to the host: of all sets in one copy."""

    def __init__(self, costs: Sequence[Tensor]) -> None:
        self._shapes = [cost.shape for cost in costs]
        flat = [cost.flatten() for cost in costs]
        self._flat = AsyncHostCopy(torch.cat(flat) if len(flat) > 1 else flat[0])

    def wait(self) -> list[np.ndarray]:
        """Of each set [S, B, G, P]."""
        parts = self._flat.wait().split([shape.numel() for shape in self._shapes])
        return [part.view(shape).numpy() for part, shape in zip(parts, self._shapes, strict=True)]


def match_cheapest(costs: np.ndarray, instances: Sequence[InstanceData]) -> Matches:
    """The pairs that cost least together, as many as there are predictions or objects, in S layers of B images.

    `costs` [S, B, G, P], of which an image's first rows are of its objects; the others are of nothing.

    Raises:
        ValueError: a cost is not a number, for a score or a box is none.
    """
    sizes = [len(image.bboxes) for image in instances]
    counts = [min(size, costs.shape[-1]) for size in sizes]
    return gather_matches(cheapest_pairs(costs, sizes), counts, instances)


def cheapest_pairs(costs: np.ndarray, sizes: Sequence[int]) -> np.ndarray:
    """The same as numbers of `number_pairs`, [4, S, N] int64, of images with so many objects each."""
    layers, predictions = len(costs), costs.shape[-1]
    problems = [costs[layer, image, :size] for layer in range(layers) for image, size in enumerate(sizes)]
    solve = _threads().map if max(sizes) >= ENOUGH_FOR_THREADS else map
    solved = list(solve(linear_sum_assignment, problems))
    pairs = []
    for layer in range(layers):
        own = solved[layer * len(sizes) : (layer + 1) * len(sizes)]
        # in the order of an image's predictions, as mmdet has them
        own = [(objects[order], indices[order]) for objects, indices in own for order in [np.argsort(indices)]]
        pairs.append(number_pairs(own, sizes, predictions))
    return np.stack(pairs, 1)


def number_pairs(
    pairs: Sequence[tuple[np.ndarray, np.ndarray]], sizes: Sequence[int], predictions: int
) -> np.ndarray:
    """Of each image its pairs' objects [n] and predictions [n] -> [4, N] int64.

    These are indices, objects, images as in `Matches`, and the object among those of all images.
    """
    starts = np.cumsum([0, *sizes[:-1]])
    numbers = [
        np.stack([indices + image * predictions, objects, np.full_like(objects, image), objects + start])
        for image, ((objects, indices), start) in enumerate(zip(pairs, starts, strict=True))
    ]
    return np.concatenate(numbers, 1).astype(np.int64)


def gather_matches(pairs: np.ndarray, counts: list[int], instances: Sequence[InstanceData]) -> Matches:
    """Of `number_pairs` of S layers, [4, S, N]."""
    boxes = torch.cat([image.bboxes for image in instances]).float()
    labels = torch.cat([image.labels for image in instances])
    indices, objects, images, among_all = to_device(pairs, boxes, torch.int64)
    tokens = None
    if 'positive_maps' in instances[0]:
        tokens = torch.cat([image.positive_maps for image in instances]).float()[among_all]
    return Matches(indices, objects, images, boxes[among_all], labels[among_all], counts, tokens)


@lru_cache
def _threads() -> ThreadPoolExecutor:
    """SciPy lets others run while it assigns."""
    return ThreadPoolExecutor(min(os.cpu_count() or 1, MAX_THREADS), thread_name_prefix='match')
