"""Losses of many samples, of which some do not count: only what looks at each sample alone can be given them all."""

import torch
from mmdet.models.losses import (
    BalancedL1Loss,
    BoundedIoULoss,
    CIoULoss,
    CrossEntropyLoss,
    DIoULoss,
    EIoULoss,
    FocalLoss,
    GIoULoss,
    IoULoss,
    L1Loss,
    MSELoss,
    SIoULoss,
    SmoothL1Loss,
)
from torch import Tensor, nn

from swin_mmdet.models.plain import has_global_hooks, is_touched
from swin_mmdet.ops.log import log_once

BOX_LOSSES = frozenset(
    {L1Loss, SmoothL1Loss, BalancedL1Loss, MSELoss}
    | {IoULoss, BoundedIoULoss, GIoULoss, DIoULoss, CIoULoss, EIoULoss, SIoULoss}
)
CLASS_LOSSES = frozenset({CrossEntropyLoss, FocalLoss})
KNOWN = BOX_LOSSES | CLASS_LOSSES


def why_not_elementwise(name: str, loss: nn.Module, known: frozenset[type[nn.Module]] = BOX_LOSSES) -> str | None:
    """None when the head's loss of this name is a mean of what it makes of each sample alone, else why in words.

    GHM, WIoU and losses of the user's own may look at all samples; so may a subclass of the known, or one with hooks.
    """
    if type(loss) not in known:
        return f'{name} is {type(loss).__name__}, which may look at all samples at once'
    if is_touched(loss) or has_global_hooks():
        return f'{name} has hooks or a forward of its own'
    return None if loss.reduction == 'mean' else f'{name} has reduction={loss.reduction}'


def weighted_loss(loss: nn.Module, predicted: Tensor, target: Tensor, weight: Tensor, count: Tensor) -> Tensor:
    """The sum of weight [n] times the loss of each of n samples, over `count` []: what mmdet's losses do.

    They themselves would ask the GPU whether any weight is not zero. A loss that may look at all its samples gets those
    with a weight alone, for which the host waits.
    """
    reason = why_not_elementwise('a loss', loss, KNOWN)
    if reason is None:
        found = loss(predicted, target, reduction_override='none')
        found = found.reshape(len(weight), -1) * weight[:, None]
        return found.sum() / (count + torch.finfo(torch.float32).eps)
    log_once(f'only samples with a weight are given to a loss: {reason}')
    used = weight.nonzero().flatten()
    if not len(used):
        return predicted.sum() * 0
    weight = weight[used, None].expand_as(predicted[used])
    return loss(predicted[used], target[used], weight, avg_factor=count)
