"""Small R-CNN heads, ours and mmdet's, and what they train on."""

import copy

import numpy as np
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData, PixelData

from swin_mmdet.detectors import region_sampling
from swin_mmdet.structures import BatchedProposals, PackedMasks
from tests.detectors.cases import DEVICE, SameSampler, images, record

CLASSES = 3
STRIDES = [4, 8, 16]
GIOU = {'type': 'GIoULoss', 'loss_weight': 2.0}
L1 = {'type': 'L1Loss'}


def train_config(iou=0.5, number=48, match_low_quality=False):
    thresholds = dict.fromkeys(('pos_iou_thr', 'neg_iou_thr', 'min_pos_iou'), iou)
    assigner = {'type': 'MaxIoUAssigner', 'match_low_quality': match_low_quality, **thresholds}
    sampler = {'type': 'RandomSampler', 'num': number, 'pos_fraction': 0.25, 'add_gt_as_proposals': True}
    return {'assigner': assigner, 'sampler': sampler, 'mask_size': 14, 'pos_weight': -1}


def box_head(agnostic, loss_bbox=L1):
    # where there are several stages one of them may find fewer regions than it samples
    norm = {'num_shared_convs': 1, 'conv_out_channels': 8, 'norm_cfg': {'type': 'BN'}} if loss_bbox is GIOU else {}
    return norm | {
        'type': 'ConvFCBBoxHead', 'num_shared_fcs': 1, 'in_channels': 8, 'fc_out_channels': 16, 'roi_feat_size': 3,
        'num_classes': CLASSES, 'reg_class_agnostic': agnostic, 'reg_decoded_bbox': loss_bbox is GIOU,
        'bbox_coder': {'type': 'DeltaXYWHBBoxCoder', 'target_stds': [0.1, 0.1, 0.2, 0.2]},
        'loss_cls': {'type': 'CrossEntropyLoss', 'loss_weight': 1.5}, 'loss_bbox': loss_bbox,
    }  # fmt: skip


def extractor(size, scope=''):
    layer = {'type': 'RoIAlign', 'output_size': size, 'sampling_ratio': 0}
    return {
        'type': f'{scope}SingleRoIExtractor', 'roi_layer': layer, 'out_channels': 8, 'featmap_strides': STRIDES,
        'finest_scale': 14,
    }  # fmt: skip


MASK = {'type': 'FCNMaskHead', 'num_convs': 1, 'in_channels': 8, 'conv_out_channels': 8, 'num_classes': CLASSES}


def twins(options, classes):
    """Ours and mmdet's of the two classes, of the same weights; `options` takes the scope of parts."""
    torch.manual_seed(0)
    made = []
    for cls, scope in zip(classes, ('swin_mmdet.', ''), strict=True):
        head = cls(**ConfigDict(copy.deepcopy(options(scope)))).to(DEVICE)
        for parameter in head.parameters():
            torch.nn.init.normal_(parameter, std=0.1)
        made.append(head)
    ours, theirs = made
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def ground_truth(kind, shapes, packed):
    instances, metas, size = images(kind, shapes, CLASSES)
    generator = np.random.default_rng(0)
    for image in instances:
        # squares: where every pixel is drawn, half of the targets lie so near their threshold that rounding decides
        drawn = generator.integers(2, size=(len(image.bboxes), *(-(-side // 16) for side in size)), dtype=np.uint8)
        drawn = drawn.repeat(16, 1).repeat(16, 2)[:, : size[0], : size[1]]
        bitmap = BitmapMasks(np.ascontiguousarray(drawn), *size)
        image.masks = PackedMasks.from_bitmap(bitmap).to(DEVICE) if packed else bitmap
    return instances, metas, size


def proposals_of(instances, size, count=90):
    """Boxes everywhere and boxes around the objects."""
    generator = torch.Generator().manual_seed(2)
    found = []
    for image in instances:
        corners = torch.rand(count, 2, 2, generator=generator) * torch.tensor([size[1], size[0]])
        boxes = torch.cat([corners.amin(1), corners.amax(1)], 1).to(DEVICE)
        near = image.bboxes[:20] + 2 * torch.randn(len(image.bboxes[:20]), 4, generator=generator).to(DEVICE)
        found.append(torch.cat([near, boxes])[:count])
    return found


def losses_and_gradients(head, proposals, instances, metas, size, semantic_maps=None, *, batched):
    generator = torch.Generator().manual_seed(1)
    maps = [
        torch.randn(2, 8, -(-size[0] // s), -(-size[1] // s), generator=generator).to(DEVICE).requires_grad_()
        for s in STRIDES
    ]
    head.zero_grad()
    samples = [
        DetDataSample(gt_instances=image, ignored_instances=image[:0], metainfo=meta)
        for image, meta in zip(instances, metas, strict=True)
    ]
    if semantic_maps is not None:
        for sample, one in zip(samples, semantic_maps, strict=True):
            sample.gt_sem_seg = PixelData(sem_seg=one)
    given = [InstanceData(bboxes=boxes, scores=boxes[:, 0]) for boxes in proposals]
    if batched:
        boxes = torch.stack(proposals)
        given = BatchedProposals(boxes, boxes[..., 0], torch.ones_like(boxes[..., 0], dtype=torch.bool))
    losses = head.loss(maps, given, samples)
    sum(x.sum() for name, x in losses.items() if 'loss' in name).backward()
    zero = torch.zeros(())
    gradients = [x.grad if x.grad is not None else zero for x in (*maps, *head.parameters())]
    return losses, gradients


def assert_trained_alike(ours, theirs, data, samplings, monkeypatch):
    """Losses and gradients of maps and parameters, where both sample the same regions, `samplings` times.

    `data` is what `losses_and_gradients` takes after proposals. Returns the losses.
    """
    instances, _, size, *_ = data
    proposals = proposals_of(instances, size)
    drawn = record(region_sampling, monkeypatch)
    found, gradients = losses_and_gradients(ours, proposals, *data, batched=True)
    assert len(drawn) == len(instances) * samplings
    if isinstance(theirs.bbox_sampler, list):
        theirs.bbox_sampler = [SameSampler(one, drawn) for one in theirs.bbox_sampler]
    else:
        theirs.bbox_sampler = SameSampler(theirs.bbox_sampler, drawn)
    expected, expected_gradients = losses_and_gradients(theirs, proposals, *data, batched=False)
    assert not drawn
    assert set(found) == set(expected)
    for name, one in found.items():
        # an object without a size has targets without bounds: mmdet's are not numbers either
        sums = {'rtol': 1e-5, 'atol': 1e-5, 'equal_nan': True, 'msg': lambda text, name=name: f'{name}: {text}'}
        torch.testing.assert_close(one.sum(), expected[name].sum(), **sums)
    for one, other in zip(gradients, expected_gradients, strict=True):
        largest = other.nan_to_num().abs().max().item()
        torch.testing.assert_close(one, other, rtol=0, atol=1e-5 * max(1, largest), equal_nan=True)
    return expected
