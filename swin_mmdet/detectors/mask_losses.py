"""Losses of matched masks at points where they are uncertain (arXiv 1912.08193), of all layers and images at once."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.dense_heads import Mask2FormerHead, MaskFormerHead
from mmdet.models.losses import CrossEntropyLoss, DiceLoss
from torch import Tensor, nn

from swin_mmdet.detectors.set_losses import CLASS_LOSSES, EPS, Labels
from swin_mmdet.ops.to_device import constant

# points whose uncertainty is looked at at once, at 30 bytes or so
POINTS_AT_ONCE = 2**25


class PointSettings(NamedTuple):
    """As `Mask2FormerHead` has them."""

    num_points: int
    oversample_ratio: float
    importance_sample_ratio: float


def why_not_losses(head: Mask2FormerHead) -> str | None:
    """None when `mask_losses`, and a cross entropy of classes, are those of this head, else why in words."""
    loss = head.loss_mask
    if type(loss) is not CrossEntropyLoss:
        return f'loss_mask is {type(loss).__name__}'
    if not loss.use_sigmoid or loss.class_weight is not None:
        return f'loss_mask has use_sigmoid={loss.use_sigmoid}, class_weight={loss.class_weight}'
    return _why_not_summed('loss_mask', loss) or why_not_class_and_dice(head)


def why_not_class_and_dice(head: MaskFormerHead) -> str | None:
    """None when `class_losses` and `dice_loss` are those of this head, else why in words."""
    for name, known in (('loss_cls', CrossEntropyLoss), ('loss_dice', DiceLoss)):
        loss = getattr(head, name)
        if type(loss) is not known:
            return f'{name} is {type(loss).__name__}'
        reason = _why_not_summed(name, loss)
        if reason is not None:
            return reason
    loss = head.loss_cls
    if loss.use_sigmoid or loss.use_mask:
        return f'loss_cls has use_sigmoid={loss.use_sigmoid}, use_mask={loss.use_mask}'
    loss = head.loss_dice
    if loss.activate and not loss.use_sigmoid:
        return f'loss_dice has use_sigmoid={loss.use_sigmoid}'
    return None


def _why_not_summed(name: str, loss: nn.Module) -> str | None:
    if loss.reduction != 'mean':
        return f'{name} has reduction={loss.reduction}'
    if getattr(loss, 'ignore_index', None) is not None:
        return f'{name} has ignore_index={loss.ignore_index}'
    return None


def class_losses(head: MaskFormerHead, scores: Tensor, labels: Tensor) -> Tensor:
    """[S] of logits [S, N, classes + 1] and labels [S, N]."""
    weights = constant(tuple(map(float, head.class_weight)), scores.device)[labels].sum(1)
    loss = CLASS_LOSSES[type(head.loss_cls)](head.loss_cls, scores, Labels(labels, None))
    return head.loss_cls.loss_weight * loss / (weights + EPS)


def at_points(masks: Tensor, points: Tensor) -> Tensor:
    """Bilinear of masks [N, H, W] at points [N, P, 2] in shares of them: [N, P], as mmcv's `point_sample`."""
    return F.grid_sample(masks[:, None], (points * 2 - 1)[:, None], align_corners=False).flatten(1)


@torch.no_grad()
def uncertain_points(masks: Tensor, settings: PointSettings) -> Tensor:
    """Of random points of masks [N, H, W], logits, those where they are nearest to 0, and some more: [N, P, 2]."""
    drawn = int(settings.num_points * settings.oversample_ratio)
    uncertain = int(settings.importance_sample_ratio * settings.num_points)
    chosen = []
    for part in masks.split(max(1, POINTS_AT_ONCE // drawn)):
        points = torch.rand(len(part), drawn, 2, device=masks.device)
        nearest = at_points(part, points).abs_().topk(uncertain, 1, largest=False, sorted=False).indices
        chosen.append(points.gather(1, nearest[..., None].expand(-1, -1, 2)))
    others = torch.rand(len(masks), settings.num_points - uncertain, 2, device=masks.device)
    return torch.cat([torch.cat(chosen), others], 1)


def mask_losses(head: Mask2FormerHead, logits: Tensor, truth: Tensor, factor: Tensor) -> dict[str, Tensor]:
    """`loss_mask` and `loss_dice`, each [S], of S layers with N masks each at P points: [S, N, P] float32.

    factor [] is what they are divided by, in numbers of masks.
    """
    entropy = F.binary_cross_entropy_with_logits(logits, truth, reduction='none').sum((1, 2))
    return {
        'loss_mask': head.loss_mask.loss_weight * entropy / (factor * logits.shape[2] + EPS),
        'loss_dice': head.loss_dice.loss_weight * dice_loss(head.loss_dice, logits, truth).sum(1) / (factor + EPS),
    }


def dice_loss(loss: DiceLoss, logits: Tensor, truth: Tensor) -> Tensor:
    """Of each mask [..., P], without the loss's weight: [...]."""
    p = logits.sigmoid() if loss.activate else logits
    common = 2 * (p * truth).sum(-1)
    if loss.naive_dice:
        return 1 - (common + loss.eps) / (p.sum(-1) + truth.sum(-1) + loss.eps)
    return 1 - common / (p.square().sum(-1) + loss.eps + truth.square().sum(-1) + loss.eps)
