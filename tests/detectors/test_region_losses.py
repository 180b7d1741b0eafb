"""The mask loss of regions some of which only fill the places of a recorded step, against that of the others alone."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.losses import CrossEntropyLoss, FocalLoss
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.structures.mask import BitmapMasks
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from swin_mmdet.detectors.region_losses import MaskRegionsLater, mask_loss, why_not_weighted
from swin_mmdet.structures import Objects, PackedMasks, SampledRegions, TrainingBatch
from tests.detectors.cases import DEVICE

CLASSES, SIZE, ROOM = 3, 32, 4
CONFIG = ConfigDict(mask_size=4)
CE = {'type': 'CrossEntropyLoss', 'use_mask': True, 'loss_weight': 0.5}


def mask_head():
    sizes = {'in_channels': 4, 'conv_out_channels': 4, 'num_convs': 1}
    return FCNMaskHead(num_classes=CLASSES, loss_mask=CE, **sizes).to(DEVICE)


def case():
    """Two images with 2 and 1 objects, of whose 6 regions 3 and 1 have one; room for 2 objects and 4 such regions."""
    rng = np.random.default_rng(0)
    drawn = [PackedMasks.from_bitmap(BitmapMasks(rng.integers(2, size=(n, SIZE, SIZE), dtype=np.uint8), SIZE, SIZE))
             for n in (2, 1, 1)]  # fmt: skip
    first, second, nothing = (one.to(DEVICE) for one in drawn)
    assigned = torch.tensor([[1, 2, 2, 0, 0, -1], [1, 0, 0, 0, -1, -1]], device=DEVICE)
    corners = torch.rand(2, 6, 2, 2, generator=torch.Generator().manual_seed(0)).to(DEVICE) * SIZE
    boxes = torch.cat([corners.amin(2), corners.amax(2) + 2], 2)
    of_objects = torch.tensor([[2, 0], [1, 0]], device=DEVICE)
    labels = of_objects.gather(1, (assigned - 1).clamp(min=0)).masked_fill(assigned <= 0, CLASSES)
    regions = SampledRegions(boxes, assigned, torch.zeros_like(assigned, dtype=torch.bool), labels, ROOM)
    plain = [InstanceData(bboxes=torch.zeros(len(one), 4), masks=one) for one in (first, second)]
    objects = Objects(torch.zeros(2, 2, 4, device=DEVICE), of_objects, torch.tensor([2, 1], device=DEVICE))
    ones = torch.full((2, 2), float(SIZE), device=DEVICE)
    batch = TrainingBatch(ones, ones, objects, PackedMasks.cat([first, second, nothing]))
    return regions, plain, [batch.instances(index) for index in range(2)]


def test_places_that_are_filled_up_do_not_count():
    regions, plain, fixed = case()
    head, losses = mask_head(), []
    predicted = torch.randn(12, CLASSES, 4, 4, device=DEVICE)
    for instances, indices in ((plain, [0, 1, 2, 6]), (fixed, [0, 1, 2, 3, 6, 7, 8, 9])):
        chosen = MaskRegionsLater(regions, instances).get()
        assert chosen.indices.tolist() == indices
        losses.append(mask_loss(head, predicted[chosen.indices], regions, chosen, CONFIG)['loss_mask'])
    assert chosen.weight.tolist() == [1, 1, 1, 0, 1, 0, 0, 0]
    torch.testing.assert_close(losses[1], losses[0].sum())


def test_without_any_object_the_loss_is_nothing():
    regions, _, fixed = case()
    regions = regions._replace(assigned=torch.zeros_like(regions.assigned))
    chosen = MaskRegionsLater(regions, fixed).get()
    predicted = torch.randn(len(chosen.indices), CLASSES, 4, 4, device=DEVICE, requires_grad=True)
    loss = mask_loss(mask_head(), predicted, regions, chosen, CONFIG)['loss_mask']
    loss.backward()
    assert loss == 0
    assert not predicted.grad.any()


@pytest.mark.parametrize(
    ('loss', 'words'),
    [
        (CrossEntropyLoss(use_mask=True), None),
        (CrossEntropyLoss(), 'loss_mask is CrossEntropyLoss('),
        (CrossEntropyLoss(use_mask=True, class_weight=[1.0, 2.0]), 'loss_mask is CrossEntropyLoss('),
        (CrossEntropyLoss(use_mask=True, reduction='sum'), 'loss_mask'),
        (FocalLoss(), 'loss_mask is FocalLoss('),
    ],
    ids=['mean', 'of classes', 'with weights', 'sum', 'focal'],
)
def test_what_is_no_mean_of_elements_is_not_weighted(loss, words):
    reason = why_not_weighted(SimpleNamespace(loss_mask=loss))
    assert reason is None if words is None else reason.startswith(words)
