"""Which object each box is for, by overlap: all images of a batch at once, and nothing synchronises with the GPU."""

from typing import NamedTuple

import torch
from torch import Tensor

from swin_mmdet.ops.box_overlaps import overlaps
from swin_mmdet.ops.triton_available import why_not_kernels


class AssignmentRule(NamedTuple):
    """Overlaps that decide. Public behaviour: mmdet's `MaxIoUAssigner` with `gt_max_assign_all`.

    A box is background where its largest overlap is in [lowest_negative, negative), its object's where it is `positive`
    or more, and neither between. With `best` every box that overlaps an object as much as the best one does is that
    object's if this overlap is `best` or more; of several such objects the last.
    """

    positive: float
    negative: float
    lowest_negative: float = 0.0
    best: float | None = None


def assign_boxes(boxes: Tensor, valid: Tensor, objects: Tensor, counts: Tensor, rule: AssignmentRule) -> Tensor:
    """The object of each box plus one, 0 for background, -1 for neither and where not `valid`: [B, N] int64.

    Args:
        boxes: [B, N, 4] or, the same for all images, [1, N, 4]: x1, y1, x2, y2, float32.
        valid: [B, N] bool; others are as if they were not there.
        objects: [B, G, 4] float32, of which image b has the first counts[b].
        counts: [B] int64.
        rule: the overlaps that decide.
    """
    if boxes.is_cuda and why_not_kernels(boxes.device, boxes.dtype) is None:
        from swin_mmdet.ops.triton_box_assignment import triton_assign_boxes

        return triton_assign_boxes(boxes, valid, objects, counts, rule)
    images = zip(boxes.expand(len(valid), -1, -1), valid, objects, counts, strict=True)
    # one image at a time: the overlaps of all would take as much memory as a backbone
    return torch.stack([_assign_one(*image, rule) for image in images]) if len(valid) else valid.long()


def _assign_one(boxes: Tensor, valid: Tensor, objects: Tensor, count: Tensor, rule: AssignmentRule) -> Tensor:
    """`assign_boxes` of one image: [N, 4], [N], [G, 4], [] -> [N]."""
    number = torch.arange(1, len(objects) + 1, device=boxes.device)[:, None]
    if not len(objects) or not len(boxes):
        return valid.long() - 1
    iou = overlaps(objects[:, None], boxes).masked_fill(~valid | (number > count), -1)
    highest, which = iou.max(0)
    # without objects all is background
    highest = highest.clamp(min=0)
    is_negative = (highest >= rule.lowest_negative) & (highest < rule.negative) | (count == 0)
    assigned = torch.where(is_negative, 0, -1)
    assigned = torch.where((highest >= rule.positive) & (count > 0), which + 1, assigned)
    if rule.best is not None:
        best = iou.amax(1, keepdim=True)
        last = torch.where((iou == best) & (best >= rule.best) & (number <= count), number, 0).amax(0)
        assigned = torch.where(last > 0, last, assigned)
    return torch.where(valid, assigned, -1)
