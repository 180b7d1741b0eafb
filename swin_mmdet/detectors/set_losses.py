"""Losses of matched predictions (arXiv 2005.12872, section 3.1), of all layers of a decoder at once."""

from collections.abc import Callable, Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import DETRHead
from mmdet.models.losses import CrossEntropyLoss, FocalLoss, GIoULoss, L1Loss, QualityFocalLoss
from torch import Tensor, nn

from swin_mmdet.detectors.set_matching import Matches
from swin_mmdet.ops.box_overlaps import centers_of, corners_of, overlaps
from swin_mmdet.ops.focal_loss import focal_loss, focal_loss_of_targets
from swin_mmdet.ops.quality_focal_loss import quality_focal_loss
from swin_mmdet.ops.to_device import constant

EPS = torch.finfo(torch.float32).eps
# a logit
NO_TOKEN = -1e4


class PredictedSets(NamedTuple):
    """What S layers predict for B images."""

    scores: Tensor  # [S, B, P, C] logits
    boxes: Tensor  # [S, B, P, 4] center and size, in shares of the image
    names: tuple[str, ...]  # of each layer, what comes before its losses' names, such as 'd0.'
    agnostic: bool = False  # whether all objects are of class 0
    kept: Tensor | None = None  # [S, B, P] bool: which predictions count; without it all do


class Labels(NamedTuple):
    """What each of N predictions of S layers should be."""

    labels: Tensor  # [S, N] int64, the number of classes for background
    quality: Tensor | None  # [S, N] overlap with the object; where the loss asks for it
    weight: Tensor | None = None  # [S, N] how often it counts, if that is not once


def _focal(loss: FocalLoss, scores: Tensor, target: Labels) -> Tensor:
    dtype = torch.promote_types(scores.dtype, torch.float32)
    weight = torch.ones_like(target.labels, dtype=dtype) if target.weight is None else target.weight.to(dtype)
    return focal_loss(scores, target.labels, weight, loss.gamma, loss.alpha)


def _cross_entropy(loss: CrossEntropyLoss, scores: Tensor, target: Labels) -> Tensor:
    weight = loss.class_weight
    if weight is not None:
        weight = constant(tuple(map(float, weight)), scores.device).to(torch.promote_types(scores.dtype, torch.float32))
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    losses = F.cross_entropy(scores.flatten(0, 1), target.labels.flatten(), weight, reduction='none')
    losses = losses.view(target.labels.shape)
    return (losses if target.weight is None else losses * target.weight).sum(1)


def _quality(loss: QualityFocalLoss, scores: Tensor, target: Labels) -> Tensor:
    return quality_focal_loss(scores, target.labels, target.quality, loss.beta, target.weight)


# of S layers: logits [S, N, C] -> the sum over predictions [S], without its weight
CLASS_LOSSES: dict[type, Callable[[nn.Module, Tensor, Labels], Tensor]] = {
    CrossEntropyLoss: _cross_entropy,
    FocalLoss: _focal,
    QualityFocalLoss: _quality,
}


def _focal_of_tokens(loss: FocalLoss, scores: Tensor, matches: Matches) -> Tensor:
    """Focal loss over the tokens of a text, summed: logits [S, N, T], -inf where there is no token -> [S]."""
    scores = scores.to(torch.promote_types(scores.dtype, torch.float32))
    # so improbable that neither the loss nor its gradient is other than 0
    scores = scores.masked_fill(scores.isneginf(), NO_TOKEN)
    assert matches.tokens is not None
    tokens = matches.tokens.to(scores.dtype)
    target = torch.zeros_like(scores).scatter(1, matches.indices[..., None].expand_as(tokens), tokens)
    return focal_loss_of_targets(scores, target, loss.gamma, loss.alpha).sum((1, 2))


def why_not_losses(head: DETRHead) -> str | None:
    """None when `set_losses` are those of this head, else why in words."""
    for name, known in (('loss_cls', CLASS_LOSSES), ('loss_bbox', (L1Loss,)), ('loss_iou', (GIoULoss,))):
        loss = getattr(head, name)
        if type(loss) not in known:
            return f'{name} is {type(loss).__name__}'
        if loss.reduction != 'mean':
            return f'{name} has reduction={loss.reduction}'
    loss = head.loss_cls
    if getattr(loss, 'activated', False):
        return 'loss_cls has activated=True'
    if isinstance(loss, CrossEntropyLoss) and (loss.use_sigmoid or loss.use_mask):
        return f'loss_cls has use_sigmoid={loss.use_sigmoid}, use_mask={loss.use_mask}'
    return None


def set_losses(
    head: DETRHead, predicted: PredictedSets, matches: Matches, sizes: Tensor, factors: Tensor
) -> dict[str, Tensor]:
    """`loss_cls`, `loss_bbox` and `loss_iou`, each [S], in float32.

    sizes [B, 4] of the images; factors [2], or [2, S], what the losses of classes and of boxes are divided by. A pair
    whose prediction does not count does not count either.
    """
    scores, boxes = predicted.scores.flatten(1, 2), predicted.boxes.flatten(1, 2)
    own = boxes.gather(1, matches.indices[..., None].expand(-1, -1, 4))
    own = own.to(torch.promote_types(own.dtype, torch.float32))
    sizes = sizes[matches.images]
    wanted = centers_of(matches.boxes / sizes)
    if matches.tokens is not None:
        classes = _focal_of_tokens(head.loss_cls, scores, matches)
    else:
        labels = matches.labels.new_full(scores.shape[:2], head.num_classes)
        own_classes = torch.zeros_like(matches.labels) if predicted.agnostic else matches.labels
        weight = None if predicted.kept is None else predicted.kept.flatten(1)
        target = Labels(labels.scatter(1, matches.indices, own_classes), None, weight)
        if isinstance(head.loss_cls, QualityFocalLoss):
            quality = overlaps(corners_of(own.detach()), corners_of(wanted))
            target = target._replace(quality=quality.new_zeros(labels.shape).scatter(1, matches.indices, quality))
        classes = CLASS_LOSSES[type(head.loss_cls)](head.loss_cls, scores, target)
    class_factor, box_factor = (factors + EPS).unbind()
    distances = (own - wanted).abs().sum(2)
    misses = 1 - overlaps(corners_of(own) * sizes, corners_of(wanted) * sizes, 'giou', head.loss_iou.eps)
    if predicted.kept is not None:
        count = pairs_that_count(predicted, matches)
        distances, misses = distances * count, misses * count
    return {
        'loss_cls': head.loss_cls.loss_weight * classes / class_factor,
        'loss_bbox': head.loss_bbox.loss_weight * distances.sum(1) / box_factor,
        'loss_iou': head.loss_iou.loss_weight * misses.sum(1) / box_factor,
    }  # fmt: skip


def pairs_that_count(predicted: PredictedSets, matches: Matches) -> Tensor:
    """Whether they do, for predictions of which only some do: [S, N] bool."""
    assert predicted.kept is not None
    return predicted.kept.flatten(1).gather(1, matches.indices)


def joined(predicted: Sequence[PredictedSets]) -> list[PredictedSets]:
    """As one set where all have as many predictions, as they are otherwise."""
    if len({one.scores.shape[1:] for one in predicted}) > 1:
        return list(predicted)
    scores, boxes = (torch.cat(parts) for parts in zip(*(one[:2] for one in predicted), strict=True))
    kept = None if predicted[0].kept is None else torch.cat([one.kept for one in predicted])
    return [PredictedSets(scores, boxes, sum((one.names for one in predicted), ()), kept=kept)]


def layer_names(layers: int, kind: str = '') -> tuple[str, ...]:
    """What comes before the names of the losses of a decoder's layers, as in mmdet."""
    return (*(f'd{layer}.{kind}' for layer in range(layers - 1)), kind)


def by_name(predicted: PredictedSets, losses: dict[str, Tensor]) -> dict[str, Tensor]:
    """Each layer's losses [] of `set_losses`, in mmdet's order: those of a decoder's last layer come first."""
    layers = [dict(zip(losses, one, strict=True)) for one in zip(*losses.values(), strict=True)]
    first = sorted(zip(predicted.names, layers, strict=True), key=lambda layer: layer[0] not in ('', 'dn_'))
    return {f'{before}{name}': loss for before, layer in first for name, loss in layer.items()}
