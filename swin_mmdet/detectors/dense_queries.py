"""Losses of DDQ's dense queries (arXiv 2303.12776, section 3.3): an object is several queries'."""

from collections.abc import Callable, Sequence

import numpy as np
from mmdet.models.losses import DDQAuxLoss, GIoULoss, QualityFocalLoss
from mmdet.models.task_modules import BboxOverlaps2D, TopkHungarianAssigner
from mmdet.utils import reduce_mean
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.set_losses import EPS, PredictedSets
from swin_mmdet.detectors.set_matching import Matches, cheapest_pairs, gather_matches, summed_costs, why_not_costs
from swin_mmdet.ops.box_overlaps import corners_of, overlaps
from swin_mmdet.ops.quality_focal_loss import quality_focal_loss
from swin_mmdet.ops.to_device import to_device
from swin_mmdet.structures import Objects

# of mmdet's assigner, which nobody gives others
SHARE_OF_OVERLAP = 6
# of mmdet's division by a largest one
LEAST = 10e-8


def why_not_dense_losses(loss: DDQAuxLoss) -> str | None:
    """None when `dense_losses` are those of this loss, else why in words."""
    if type(loss) is not DDQAuxLoss or type(loss.assigner) is not TopkHungarianAssigner:
        return f'aux_loss_for_dense is {type(loss).__name__} with {type(loss.assigner).__name__}'
    classes, boxes = loss.loss_cls, loss.loss_bbox
    if type(classes) is not QualityFocalLoss or not classes.activated or classes.reduction != 'mean':
        return f'aux_loss_for_dense has the loss_cls {classes}'
    if type(boxes) is not GIoULoss or boxes.reduction != 'mean':
        return f'aux_loss_for_dense has the loss_bbox {boxes}'
    if type(loss.assigner.iou_calculator) is not BboxOverlaps2D:
        return f'aux_loss_for_dense has the iou_calculator {loss.assigner.iou_calculator}'
    return why_not_costs(_costs(loss))


def _costs(loss: DDQAuxLoss) -> tuple[Callable, ...]:
    return loss.assigner.cls_cost, loss.assigner.reg_cost, loss.assigner.iou_cost


def dense_costs(loss: DDQAuxLoss, predicted: PredictedSets, objects: Objects, sizes: Tensor) -> Tensor:
    """What it costs to match each query with each object: [S, B, G, P], of images of sizes [B, 4]."""
    boxes = corners_of(predicted.boxes.detach()) * sizes[:, None]
    # the cost takes them for logits once more, as in mmdet
    return summed_costs(_costs(loss), predicted.scores.detach().sigmoid(), boxes, objects, sizes)


def match_several(costs: np.ndarray, instances: Sequence[InstanceData], times: int) -> Matches:
    """The pairs that cost least together, `times` for each object or as many as there are queries for each.

    costs [S, B, G, P] as `match_cheapest` takes them. More objects than queries have none.
    """
    counts = [len(image.bboxes) for image in instances]
    repeats = [min(times, costs.shape[-1] // count) if count else 0 for count in counts]
    rows = [np.repeat(np.arange(count), repeat) for count, repeat in zip(counts, repeats, strict=True)]
    sizes = [len(own) for own in rows]
    repeated = np.zeros((*costs.shape[:2], max(sizes), costs.shape[-1]), costs.dtype)
    for image, own in enumerate(rows):
        repeated[:, image, : len(own)] = costs[:, image, own]
    indices, objects, images, _ = cheapest_pairs(repeated, sizes)
    objects = objects // np.maximum(repeats, 1)[images]
    among_all = objects + np.cumsum([0, *counts[:-1]])[images]
    return gather_matches(np.stack([indices, objects, images, among_all]), sizes, instances)


def dense_losses(
    loss: DDQAuxLoss, predicted: PredictedSets, matches: Matches, sizes: Tensor, counts: Sequence[int]
) -> dict[str, Tensor]:
    """`aux_loss_cls` and `aux_loss_bbox` of each layer and image, [S, B]; counts of objects of each image."""
    layers, batch, queries = predicted.scores.shape[:3]
    wanted, own_sizes = matches.boxes, sizes[matches.images]
    own = predicted.boxes.flatten(1, 2).gather(1, matches.indices[..., None].expand(-1, -1, 4))
    own = corners_of(own) * own_sizes
    scores = predicted.scores.flatten(1, 2)
    quality = _quality(scores.detach(), overlaps(own.detach(), wanted), matches, batch, max(counts))
    labels = matches.labels.new_full(scores.shape[:2], scores.shape[-1]).scatter(1, matches.indices, matches.labels)
    target = quality.new_zeros(labels.shape).scatter(1, matches.indices, quality)
    target, labels = (one.view(layers, batch, queries) for one in (target, labels))
    # what is learnt of images without objects is nothing
    has_objects = to_device([float(count > 0) for count in counts], sizes)
    classes = quality_focal_loss(predicted.scores, labels, target, loss.loss_cls.beta) * has_objects
    misses = (1 - overlaps(own, wanted, 'giou', loss.loss_bbox.eps)) * quality
    boxes = predicted.boxes.sum((2, 3)) * 0
    boxes = boxes.scatter_add(1, matches.images, misses)
    factor = (reduce_mean(quality.sum(1)).clamp(min=1) * (1 + EPS))[:, None]
    return {
        'aux_loss_cls': loss.loss_cls.loss_weight * classes / factor,
        'aux_loss_bbox': loss.loss_bbox.loss_weight * boxes / factor,
    }


def _quality(scores: Tensor, overlap: Tensor, matches: Matches, batch: int, most: int) -> Tensor:
    """What the class of each pair should be, [S, N]: an object's best query is as sure as its best box fits.

    scores [S, B * P, K] logits, overlap [S, N] of the pairs' boxes; an image has at most so many objects.
    """
    own = scores.gather(1, matches.indices[..., None].expand(-1, -1, scores.shape[-1]))
    own = own.gather(2, matches.labels[..., None])[..., 0].sigmoid() * overlap.pow(SHARE_OF_OVERLAP)
    objects = matches.images * most + matches.objects
    nothing = own.new_zeros(len(own), batch * most)
    best, best_overlap = (
        nothing.scatter_reduce(1, objects, one, 'amax').gather(1, objects) for one in (own, overlap)
    )
    return own / (best + LEAST) * best_overlap
