"""Which regions of a batch an R-CNN's heads train on."""

from collections.abc import Callable
from contextlib import nullcontext

import torch
from mmdet.models.task_modules import MaxIoUAssigner, RandomSampler
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from swin_mmdet.detectors.matching import rule_of, sampling_of
from swin_mmdet.ops.batch_norm import StatisticsOf
from swin_mmdet.ops.box_assignment import assign_boxes
from swin_mmdet.ops.box_sampling import close_ranks, sample_boxes
from swin_mmdet.ops.to_device import AsyncHostCopy
from swin_mmdet.structures import Objects, SampledRegions


def sample_regions(
    boxes: Tensor, valid: Tensor, objects: Objects, assigner: MaxIoUAssigner, sampler: RandomSampler, classes: int
) -> SampledRegions:
    """Of proposals [B, P, 4] with `valid` [B, P], and of the objects themselves where the sampler adds them."""
    assigned = assign_boxes(boxes, valid, objects.boxes, objects.counts, rule_of(assigner))
    added = 0
    if sampler.add_gt_as_proposals:
        added = objects.boxes.shape[1]
        number = torch.arange(1, added + 1, device=boxes.device).expand(len(boxes), -1)
        # an object is its own, whichever overlaps it most
        own = torch.where(number <= objects.counts[:, None], number, -1)
        boxes, assigned = torch.cat([objects.boxes, boxes], 1), torch.cat([own, assigned], 1)
    sampling = sampling_of(sampler)
    indices, assigned = close_ranks(*sample_boxes(assigned, **sampling), sampling['number'])
    boxes = boxes.gather(1, indices[..., None].expand(-1, -1, 4)).masked_fill((assigned < 0)[..., None], 0)
    labels = objects.labels.gather(1, (assigned - 1).clamp(min=0)).masked_fill(assigned <= 0, classes)
    return SampledRegions(boxes, assigned, (indices < added) & (assigned > 0), labels, sampling['max_positive'])


def classify_used(
    head: nn.Module, forward: Callable[[Tensor], dict], rois: Tensor, regions: SampledRegions, *, asks: bool = True
) -> tuple[Tensor, Tensor]:
    """Scores [B * K, n] and deltas [B * K, m] of a box head, of whatever value for unused regions.

    `forward` takes rois. Statistics of a batch norm are of the used ones alone: for which the host synchronises if it
    `asks`, else all are normalised, which takes longer on a GPU.
    """
    used = (regions.assigned >= 0).flatten()
    has_norms = any(isinstance(part, _BatchNorm) for part in head.modules())
    if has_norms and asks:
        chosen = used.nonzero()[:, 0]
        outputs = forward(rois[chosen])
        both = outputs['cls_score'], outputs['bbox_pred']
        return tuple(one.new_zeros(len(rois), one.shape[1]).index_copy(0, chosen, one) for one in both)
    with StatisticsOf(used) if has_norms else nullcontext():
        outputs = forward(rois)
    return outputs['cls_score'], outputs['bbox_pred']


def why_not_asked(head: nn.Module) -> str | None:
    """None when `classify_used` need not ask the device, else why in words."""
    norms = [type(part) for part in head.modules() if isinstance(part, _BatchNorm) and not is_own_norm(part)]
    return f'there is a {norms[0].__name__} in the box head' if norms else None


def is_own_norm(part: nn.Module) -> bool:
    """Whether this is a batch norm of one process, which goes through `F.batch_norm`, whatever its class."""
    return isinstance(part, _BatchNorm) and type(part).forward is _BatchNorm.forward


class AsyncCounts:
    """How many regions of each image have objects: copied to the host while the GPU has other work."""

    def __init__(self, regions: SampledRegions) -> None:
        self._counts = AsyncHostCopy((regions.assigned > 0).sum(1))

    def wait(self) -> list[int]:
        """Of every image."""
        return self._counts.wait().tolist()
