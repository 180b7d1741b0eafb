"""What a detector's assigner, sampler and box coder are set to, for functions that take a whole batch."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from mmdet.models.task_modules import (
    ATSSAssigner,
    BboxOverlaps2D,
    DeltaXYWHBBoxCoder,
    MaxIoUAssigner,
    RandomSampler,
)
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.elementwise import KNOWN, why_not_elementwise
from swin_mmdet.detectors.image_sizes import image_shapes
from swin_mmdet.ops.box_assignment import AssignmentRule
from swin_mmdet.ops.box_deltas import clip_boxes, decode_boxes, encode_boxes
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.to_device import constant

Ignored = Sequence[InstanceData | None] | None


def why_not_matched(assigner: object, sampler: object, ignored: Ignored) -> str | None:
    """None when boxes of all images can be assigned and sampled together as these two do it, else why in words.

    `ignored` are the images' `gt_instances_ignore`.
    """
    if type(sampler) is not RandomSampler:
        return f'the sampler is {type(sampler).__name__}, not RandomSampler'
    return why_not_assigned(assigner, ignored)


def why_not_assigned(assigner: Any, ignored: Ignored) -> str | None:
    """The same without a sampler."""
    if type(assigner) is not MaxIoUAssigner:
        return f'the assigner is {type(assigner).__name__}, not MaxIoUAssigner'
    if assigner.perm_repeat_gt_cfg is not None:
        return 'the assigner has perm_repeat_gt_cfg'
    if assigner.match_low_quality and not assigner.gt_max_assign_all:
        return 'the assigner has gt_max_assign_all=False'
    return _why_not_overlaps(assigner, ignored)


def why_not_adaptive(assigner: Any, ignored: Ignored) -> str | None:
    """None when `assign_adaptively` is what this assigner does, else why in words."""
    if type(assigner) is not ATSSAssigner:
        return f'the assigner is {type(assigner).__name__}, not ATSSAssigner'
    if assigner.alpha is not None:
        return f'the assigner has alpha={assigner.alpha}'
    return _why_not_overlaps(assigner, ignored)


def _why_not_overlaps(assigner: ATSSAssigner | MaxIoUAssigner, ignored: Ignored) -> str | None:
    calculator = assigner.iou_calculator
    if type(calculator) is not BboxOverlaps2D or calculator.scale != 1 or calculator.dtype is not None:
        return f'the assigner has iou_calculator={calculator}'
    if assigner.ignore_iof_thr > 0 and any(len(image.bboxes) for image in ignored or () if image is not None):
        return f'the assigner has ignore_iof_thr={assigner.ignore_iof_thr} and there are regions to ignore'
    return None


def rule_of(assigner: MaxIoUAssigner) -> AssignmentRule:
    """The overlaps that decide."""
    lowest, negative = (
        assigner.neg_iou_thr if isinstance(assigner.neg_iou_thr, tuple) else (0.0, assigner.neg_iou_thr)
    )
    return AssignmentRule(
        assigner.pos_iou_thr, negative, lowest, assigner.min_pos_iou if assigner.match_low_quality else None
    )


def sampling_of(sampler: RandomSampler) -> dict:
    """Arguments of `sample_boxes`."""
    return {
        'number': sampler.num,
        'max_positive': int(sampler.num * sampler.pos_fraction),
        'negatives_per_positive': sampler.neg_pos_ub if sampler.neg_pos_ub >= 0 else None,
    }


class Coding(NamedTuple):
    """The constants of a box coder."""

    means: tuple[float, ...]
    stds: tuple[float, ...]
    ctr_clamp: float | None
    clip: bool


def why_not_coded(coder: object) -> str | None:
    """None when `coding_of` has all of the coder, else why in words."""
    return None if type(coder) is DeltaXYWHBBoxCoder else f'the box coder is {type(coder).__name__}'


def coding_of(coder: DeltaXYWHBBoxCoder) -> Coding:
    """The constants of mmdet's coder."""
    ctr_clamp = float(coder.ctr_clamp) if coder.add_ctr_clamp else None
    return Coding(tuple(coder.means), tuple(coder.stds), ctr_clamp, coder.clip_border)


def decode_in_images(coder: DeltaXYWHBBoxCoder, boxes: Tensor, deltas: Tensor, metas: Sequence[dict]) -> Tensor:
    """Boxes [B, ..., 4] moved by deltas of as many, and clipped to their images where the coder does that."""
    coding = coding_of(coder)
    boxes = decode_boxes(boxes, deltas, coding.means, coding.stds, coding.ctr_clamp)
    return clip_boxes(boxes, image_shapes(metas, boxes)) if coding.clip else boxes


def without_small(valid: Tensor, boxes: Tensor, cfg: ConfigDict) -> Tensor:
    """Of `valid` [...] those of boxes [..., 4] whose sides are longer than `min_bbox_size`, if there is one."""
    smallest = cfg.get('min_bbox_size', -1)
    return valid & ((boxes[..., 2:] - boxes[..., :2]) > smallest).all(-1) if smallest >= 0 else valid


def regression(
    boxes: Tensor, deltas: Tensor, objects: Tensor, assigned: Tensor, coder: DeltaXYWHBBoxCoder, is_decoded: bool
) -> tuple[Tensor, Tensor]:
    """What a box loss compares, prediction and target, each [B, K, 4]; both constant where there is no object.

    boxes [B, K, 4], their predicted deltas [B, K, 4], objects [B, G, 4], assigned [B, K] as `assign_boxes` returns it;
    with `is_decoded` the loss is of boxes, else of deltas.
    """
    coding = coding_of(coder)
    has_object = (assigned > 0)[..., None]
    own = objects.gather(1, (assigned - 1).clamp(min=0)[..., None].expand(-1, -1, 4))
    # the boxes and objects of the others may have no size
    unit = constant((0.0, 0.0, 1.0, 1.0), boxes.device)
    boxes, own = torch.where(has_object, boxes, unit), torch.where(has_object, own, unit)
    deltas = torch.where(has_object, deltas, 0)
    if is_decoded:
        return decode_boxes(boxes, deltas, coding.means, coding.stds, coding.ctr_clamp), own
    return deltas, encode_boxes(boxes, own, coding.means, coding.stds)


def class_weight(assigned: Tensor, pos_weight: float) -> Tensor:
    """Of each of [B, N] in a loss of classes: 0 if it is not trained, of an object `pos_weight` if this is above 0."""
    weight = (assigned >= 0).float()
    return weight.masked_fill(assigned > 0, pos_weight) if pos_weight > 0 else weight


def count_chosen(chosen: Tensor) -> Tensor:
    """How many of [B, N] bool are chosen, as mmdet counts them: none in an image is one. [] int64."""
    return chosen.sum(1).clamp(min=1).sum()


def weighted_loss(loss: nn.Module, predicted: Tensor, target: Tensor, weight: Tensor, count: Tensor) -> Tensor:
    """The sum of weight [n] times the loss of each of n samples, over `count` []: what mmdet's losses do.

    They themselves would synchronise with the GPU to see whether any weight is not zero. A loss that may look at all
    its samples gets those with a weight alone, for which the host synchronises.
    """
    reason = why_not_elementwise('a loss', loss, KNOWN)
    if reason is None:
        losses = loss(predicted, target, reduction_override='none')
        losses = losses.reshape(len(weight), -1) * weight[:, None]
        return losses.sum() / (count + torch.finfo(torch.float32).eps)
    log_once(f'only samples with a weight are given to a loss: {reason}')
    used = weight.nonzero().flatten()
    if not len(used):
        return predicted.sum() * 0
    weight = weight[used, None].expand_as(predicted[used])
    return loss(predicted[used], target[used], weight, avg_factor=count)
