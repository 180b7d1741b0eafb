"""The branches of a head of Deformable DETR and its kin: one for each layer of the decoder, or one for all of them."""

from collections.abc import Sequence

import torch
from mmcv.cnn import Linear
from torch import Tensor, nn

from swin_mmdet.models.plain import is_untouched
from swin_mmdet.ops.coordinates import precise_linear
from swin_mmdet.ops.stacked_linear import stacked_linear

LINEAR = Linear, nn.Linear


def classify(branches: Sequence[nn.Module], states: Tensor) -> Tensor:
    """Logits of states [S, ..., C] of S layers, each by its own branch: [S, ..., classes]."""
    return _each(branches, states, precise=False)


def box_changes(branches: Sequence[nn.Module], states: Tensor) -> Tensor:
    """What is to be added to inverse sigmoids of references, float32: [S, ..., C] -> [S, ..., 4].

    The last linear layer is computed in float32: of one in half, boxes of large images are off by a pixel.
    """
    return _each(branches, states, precise=True)


def box_change(branch: nn.Module, states: Tensor) -> Tensor:
    """The same of one layer: [..., C] -> [..., 4]."""
    steps = _steps(branch)
    if type(steps[-1]) not in LINEAR or steps[-1].bias is None or not is_untouched(branch):
        return branch(states).float()
    for step in steps[:-1]:
        states = step(states)
    return precise_linear(states, steps[-1].weight, steps[-1].bias)


def _each(branches: Sequence[nn.Module], states: Tensor, *, precise: bool) -> Tensor:
    one = box_change if precise else nn.Module.__call__
    if all(branch is branches[0] for branch in branches):
        return one(branches[0], states)
    if not _are_stackable(branches):
        return torch.stack([one(branch, state) for branch, state in zip(branches, states, strict=True)])
    steps = list(zip(*map(_steps, branches), strict=True))
    for step in steps:
        is_linear = type(step[0]) in LINEAR
        states = stacked_linear(states, step, precise=precise and step is steps[-1]) if is_linear else states.relu()
    return states


def _are_stackable(branches: Sequence[nn.Module]) -> bool:
    """Whether all are linear layers and ReLUs of the same shapes, with which nobody does anything else."""
    if not all(map(is_untouched, branches)):
        return False
    kinds = [[_kind(step) for step in _steps(branch)] for branch in branches]
    return None not in kinds[0] and all(kind == kinds[0] for kind in kinds)


def _kind(step: nn.Module) -> tuple | None:
    if type(step) is nn.ReLU:
        return (nn.ReLU,)
    return (nn.Linear, step.weight.shape) if type(step) in LINEAR and step.bias is not None else None


def _steps(branch: nn.Module) -> list[nn.Module]:
    return list(branch) if isinstance(branch, nn.Sequential) else [branch]
