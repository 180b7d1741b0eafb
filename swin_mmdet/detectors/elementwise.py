"""Losses of many samples, of which some do not count: only what looks at each sample alone can be given them all."""

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
from torch import nn

from swin_mmdet.models.plain import has_global_hooks, is_touched

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
