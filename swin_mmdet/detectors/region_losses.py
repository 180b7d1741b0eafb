"""Losses of an R-CNN's heads over the sampled regions of a batch."""

from collections.abc import Sequence
from itertools import accumulate
from typing import NamedTuple

import torch
import torch.nn.functional as F
from mmdet.models.losses import CrossEntropyLoss
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.structures.mask import mask_target
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.elementwise import CLASS_LOSSES, why_not_elementwise
from swin_mmdet.detectors.matching import class_weight, regression, weighted_loss, why_not_coded
from swin_mmdet.detectors.region_sampling import AsyncCounts
from swin_mmdet.ops.box_deltas import clip_boxes
from swin_mmdet.ops.mask_targets import mask_targets
from swin_mmdet.ops.to_device import constant, to_device
from swin_mmdet.structures import Objects, PackedMasks, SampledRegions, training_batch


def why_not_box_loss(head: BBoxHead) -> str | None:
    """None when `box_loss` is the loss of this head, else why in words."""
    for name in ('loss', 'loss_and_target', 'get_targets'):
        if getattr(type(head), name) is not getattr(BBoxHead, name):
            return f'{type(head).__name__} has a {name} of its own'
    if type(head.loss_cls) is not CrossEntropyLoss or head.loss_cls.use_sigmoid:
        return f'loss_cls is {head.loss_cls}'
    reason = why_not_elementwise('loss_cls', head.loss_cls, CLASS_LOSSES)
    reason = reason or why_not_coded(head.bbox_coder)
    return reason or (None if head.with_cls and head.with_reg else 'the box head has no branch')


def box_loss(
    head: BBoxHead, scores: Tensor, deltas: Tensor, regions: SampledRegions, objects: Objects, pos_weight: float
) -> dict[str, Tensor]:
    """`loss_cls`, `acc` and `loss_bbox`, each [], as `BBoxHead.loss`; scores [B*K, classes + 1], deltas [B*K, n]."""
    labels, used = regions.labels.flatten(), (regions.assigned >= 0).flatten()
    weight = class_weight(regions.assigned, pos_weight).flatten()
    count = used.sum()
    right = (scores.argmax(1) == labels) & used
    losses = {
        'loss_cls': weighted_loss(head.loss_cls, scores, labels, weight, count.clamp(min=1)),
        'acc': 100 * right.sum() / count.clamp(min=1),
    }
    first = regions.max_positive
    assigned = regions.assigned[:, :first]
    deltas = own_deltas(head, deltas, regions.labels)[:, :first]
    predicted, target = regression(
        regions.boxes[:, :first], deltas, objects.boxes, assigned, head.bbox_coder, head.reg_decoded_bbox
    )
    weight = (assigned > 0).float().flatten()
    losses['loss_bbox'] = weighted_loss(head.loss_bbox, predicted.flatten(0, 1), target.flatten(0, 1), weight, count)
    return losses


def own_deltas(head: BBoxHead, deltas: Tensor, labels: Tensor) -> Tensor:
    """The deltas of each region's class, of any class for background: [B*K, n], [B, K] -> [B, K, 4]."""
    deltas = deltas.view(*labels.shape, -1, 4)
    if head.reg_class_agnostic:
        return deltas[:, :, 0]
    own = labels.clamp(max=head.num_classes - 1)[..., None, None].expand(-1, -1, 1, 4)
    return deltas.gather(2, own)[:, :, 0]


def why_not_mask_loss(head: FCNMaskHead, config: ConfigDict) -> str | None:
    """None when `mask_loss` is the loss of this head, else why in words."""
    for name in ('loss_and_target', 'get_targets'):
        if getattr(type(head), name, None) is not getattr(FCNMaskHead, name):
            return f'{type(head).__name__} has a {name} of its own'
    return None if isinstance(config.mask_size, int) else f'mask_size={config.mask_size}'


class MaskRegions(NamedTuple):
    """The N regions that a mask head is given.

    Attributes:
        indices: [N] int64, among the B * K regions of a batch.
        objects: [N] int64, of each region among all objects of the batch, as `masks` counts them.
        masks: of the batch's objects, or where a mask is not packed the images' own.
        counts: regions of each image.
        weight: [N] float32, 0 for those that are there to fill the places of a recorded step; None where none are.
    """

    indices: Tensor
    objects: Tensor
    masks: PackedMasks | list
    counts: Sequence[int]
    weight: Tensor | None = None


class MaskRegionsLater:
    """Of regions and their images' instances those with an object, for which the host waits as late as it can.

    Those of a `TrainingBatch` are all places that may have one: nobody waits.
    """

    def __init__(self, regions: SampledRegions, instances: Sequence[InstanceData]) -> None:
        self.regions, self.instances = regions, instances
        self.batch = training_batch(instances)
        self._counts = None if self.batch else AsyncCounts(regions)

    def get(self) -> MaskRegions:
        images, size = self.regions.assigned.shape
        if self._counts is None:
            assert self.batch is not None
            assert self.batch.masks is not None
            room = min(self.regions.max_positive, size)
            first = torch.arange(images, device=self.regions.assigned.device)[:, None]
            assigned = self.regions.assigned[:, :room]
            indices = first * size + torch.arange(room, device=first.device)
            objects = first * self.batch.objects.boxes.shape[1] + (assigned - 1).clamp(min=0)
            weight = (assigned > 0).float()
            return MaskRegions(
                indices.flatten(), objects.flatten(), self.batch.masks, [room] * images, weight.flatten()
            )
        counts = self._counts.wait()
        places = [image * size + index for image, count in enumerate(counts) for index in range(count)]
        indices = to_device(places, self.regions.assigned)
        objects = self.regions.assigned.flatten()[indices] - 1
        masks = [image.masks for image in self.instances]
        if not all(isinstance(one, PackedMasks) for one in masks):
            return MaskRegions(indices, objects, masks, counts)
        before = accumulate([len(one) for one in masks[:-1]], initial=0)
        first = [first for first, count in zip(before, counts, strict=True) for _ in range(count)]
        return MaskRegions(indices, objects + to_device(first, objects), PackedMasks.cat(masks), counts)


def mask_loss(
    head: FCNMaskHead, predicted: Tensor, regions: SampledRegions, chosen: MaskRegions, config: ConfigDict
) -> dict[str, Tensor]:
    """`loss_mask`, as `FCNMaskHead.loss_and_target`, of masks predicted [N, classes, size, size]."""
    if not len(predicted):
        return {'loss_mask': predicted.sum()}
    boxes, labels = regions.boxes.flatten(0, 1)[chosen.indices], regions.labels.flatten()[chosen.indices]
    if isinstance(chosen.masks, PackedMasks):
        target = _packed_targets(chosen.masks, chosen.objects, boxes, config.mask_size)
    else:
        target = mask_target(boxes.split(chosen.counts), chosen.objects.split(chosen.counts), chosen.masks, config)
    labels = torch.zeros_like(labels) if head.class_agnostic else labels
    if chosen.weight is None:
        return {'loss_mask': head.loss_mask(predicted, target, labels)}
    return {'loss_mask': _weighted_mask_loss(head, predicted, target, labels, chosen.weight)}


def why_not_weighted(head: FCNMaskHead) -> str | None:
    """None when a mask head's loss can be had of regions some of which do not count, else why in words."""
    loss = head.loss_mask
    if type(loss) is not CrossEntropyLoss or not loss.use_mask or loss.class_weight is not None:
        return f'loss_mask is {loss}'
    return why_not_elementwise('loss_mask', loss, CLASS_LOSSES)


def _weighted_mask_loss(head: FCNMaskHead, predicted: Tensor, target: Tensor, labels: Tensor, weight: Tensor) -> Tensor:
    """The mean over regions with a weight of 1 of what `loss_mask` is of each, 0 where there is none; `labels` of
    others are of no class."""
    own = labels.clamp(max=predicted.shape[1] - 1)[:, None, None, None].expand(-1, 1, *predicted.shape[2:])
    own = predicted.gather(1, own)[:, 0]
    losses = F.binary_cross_entropy_with_logits(own, target, reduction='none').mean((1, 2))
    return head.loss_mask.loss_weight * (losses * weight).sum() / weight.sum().clamp(min=1)


def _packed_targets(masks: PackedMasks, objects: Tensor, boxes: Tensor, size: int) -> Tensor:
    """[N, size, size], of all images at once."""
    image_size = masks.height, masks.width
    # objects may reach beyond the image
    boxes = clip_boxes(boxes[None], constant(tuple(map(float, image_size)), boxes.device)[None])[0]
    return mask_targets(masks.bits, masks.starts, masks.boxes, objects, boxes, size, image_size)
