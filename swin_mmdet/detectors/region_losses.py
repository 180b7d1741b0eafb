"""Losses of an R-CNN's heads over the sampled regions of a batch."""

from collections.abc import Sequence

import torch
from mmdet.models.losses import CrossEntropyLoss
from mmdet.models.roi_heads.bbox_heads import BBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.structures.mask import mask_target
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.detectors.elementwise import CLASS_LOSSES, why_not_elementwise
from swin_mmdet.detectors.matching import class_weight, regression, weighted_loss, why_not_coded
from swin_mmdet.ops.box_deltas import clip_boxes
from swin_mmdet.ops.mask_targets import mask_targets
from swin_mmdet.ops.to_device import to_device
from swin_mmdet.structures import Objects, PackedMasks, SampledRegions


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


def positive_regions(regions: SampledRegions, counts: Sequence[int]) -> Tensor:
    """The indices of those with objects among the B * K, of which image b has counts[b]: [N] int64."""
    size = regions.assigned.shape[1]
    indices = [image * size + index for image, count in enumerate(counts) for index in range(count)]
    return to_device(indices, regions.assigned)


def mask_loss(
    head: FCNMaskHead,
    predicted: Tensor,
    regions: SampledRegions,
    positive: Tensor,
    counts: Sequence[int],
    instances: Sequence[InstanceData],
    config: ConfigDict,
) -> dict[str, Tensor]:
    """`loss_mask`, as `FCNMaskHead.loss_and_target`.

    Of masks predicted [N, classes, size, size] for the regions at `positive` [N], of which image b has counts[b].
    """
    if not len(predicted):
        return {'loss_mask': predicted.sum()}
    boxes, objects = regions.boxes.flatten(0, 1)[positive], regions.assigned.flatten()[positive] - 1
    masks = [image.masks for image in instances]
    if all(isinstance(one, PackedMasks) for one in masks):
        target = _packed_targets(masks, objects, boxes, counts, config.mask_size)
    else:
        target = mask_target(boxes.split(counts), objects.split(counts), masks, config)
    labels = regions.labels.flatten()[positive]
    return {'loss_mask': head.loss_mask(predicted, target, torch.zeros_like(labels) if head.class_agnostic else labels)}


def _packed_targets(
    masks: Sequence[PackedMasks], objects: Tensor, boxes: Tensor, counts: Sequence[int], size: int
) -> Tensor:
    """[N, size, size], of all images at once."""
    before, starts = 0, []
    for one, count in zip(masks, counts, strict=True):
        starts += [before] * count
        before += len(one)
    all_masks = PackedMasks.cat(masks)
    objects = objects + to_device(starts, objects)
    image_size = all_masks.height, all_masks.width
    # objects may reach beyond the image
    boxes = clip_boxes(boxes[None], to_device([image_size], boxes))[0]
    return mask_targets(all_masks.bits, all_masks.starts, all_masks.boxes, objects, boxes, size, image_size)
