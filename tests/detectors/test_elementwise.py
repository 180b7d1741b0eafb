"""Box losses that look at all their samples get what mmdet gives them; the others are those of the table."""

import pytest
import torch
from torch import nn

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.losses import GHMR
from mmdet.models.roi_heads import StandardRoIHead as MMDetStandardRoIHead
from mmdet.registry import MODELS as MMDET_MODELS

from swin_mmdet.detectors import StandardRoIHead, atss_head, dense_head, matching, retina_head, rpn_head
from swin_mmdet.detectors.elementwise import BOX_LOSSES, why_not_elementwise
from swin_mmdet.detectors.matching import weighted_loss
from tests.detectors import dense, roi_heads, test_atss_head, test_rpn_head
from tests.detectors.cases import images
from tests.detectors.test_retina_head import make as make_retina


class RelativeLoss(nn.Module):
    """Each difference counts by how large it is beside the mean of all, as in WIoU."""

    def forward(self, pred, target, weight=None, avg_factor=None, reduction_override=None):
        loss = (pred - target).abs()
        loss = loss * loss.detach() / loss.detach().mean().clamp(min=1e-6)
        loss = loss if weight is None else loss * weight.reshape(len(loss), -1)
        return loss if reduction_override == 'none' else loss.sum() / avg_factor


@pytest.fixture(autouse=True, scope='module')
def _registered():
    MMDET_MODELS.register_module(module=RelativeLoss, force=True)


def positives():
    """100 samples of which two count, their differences 1."""
    predicted, target, weight = torch.zeros(100, 4), torch.zeros(100, 4), torch.zeros(100)
    predicted[:2], weight[:2] = 1.0, 1.0
    return predicted, target, weight


def test_a_loss_of_statistics_does_not_see_padding():
    predicted, target, weight = positives()
    alone = RelativeLoss()(predicted[:2], target[:2], avg_factor=100)
    found = weighted_loss(RelativeLoss(), predicted, target, weight, torch.tensor(100))
    assert alone.item() == pytest.approx(0.08)
    assert found.item() == pytest.approx(0.08)
    ghm = weighted_loss(GHMR(), predicted, target, weight, torch.tensor(100))
    assert ghm == GHMR()(predicted[:2], target[:2], torch.ones(2, 4))
    none = weighted_loss(RelativeLoss(), predicted.requires_grad_(), target, weight * 0, torch.tensor(100))
    none.backward()
    assert none == 0
    assert not predicted.grad.any()


# options that make one differ from the others' defaults
OPTIONS = {'SmoothL1Loss': {'beta': 0.3}, 'IoULoss': {'mode': 'square'}, 'SIoULoss': {'neg_gamma': True}}
LOSSES = sorted(cls.__name__ for cls in BOX_LOSSES)


@pytest.mark.parametrize('name', LOSSES)
def test_those_of_the_table_are_batched_and_are_mmdet_s(name, monkeypatch):
    said = dense.what_is_logged(monkeypatch, retina_head, dense_head)
    ours, theirs = make_retina(
        loss_bbox={'type': name, 'loss_weight': 0.7} | OPTIONS.get(name, {}), reg_decoded_bbox='IoU' in name
    )
    data = images('some', dense.DIFFERENT, dense.CLASSES)
    expected = dense.losses_and_gradients(theirs, *data)
    dense.assert_close(dense.losses_and_gradients(ours, *data), expected)
    assert expected['loss_bbox'] > 0
    assert said == []


LOSSES_OF_STATISTICS = pytest.mark.parametrize('loss', ['GHMR', 'RelativeLoss'])


@LOSSES_OF_STATISTICS
def test_retinanet_trains_on_the_others_as_in_mmdet(loss, monkeypatch):
    said = dense.what_is_logged(monkeypatch, retina_head, dense_head)
    ours, theirs = make_retina(loss_bbox={'type': loss})
    data = images('some', dense.EQUAL, dense.CLASSES)
    expected = dense.losses_and_gradients(theirs, *data)
    dense.assert_close(dense.losses_and_gradients(ours, *data), expected)
    assert expected['loss_bbox'] > 0
    assert loss in said[0]


def test_atss_trains_on_the_others_as_in_mmdet(monkeypatch):
    said = dense.what_is_logged(monkeypatch, atss_head, dense_head)
    ours, theirs = test_atss_head.make(loss_bbox={'type': 'RelativeLoss'})  # with GHM mmdet's own fails
    data = images('some', dense.EQUAL, dense.CLASSES)
    expected = dense.losses_and_gradients(theirs, *data)
    dense.assert_close(dense.losses_and_gradients(ours, *data), expected)
    assert 'RelativeLoss' in said[0]


@LOSSES_OF_STATISTICS
def test_proposals_train_on_the_others_as_in_mmdet(loss, monkeypatch):
    said = dense.what_is_logged(monkeypatch, rpn_head)
    instances, metas, size = images('some', ((96, 128), (96, 128)), classes=1)
    found = []
    for head in test_rpn_head.make(loss_bbox={'type': loss}):
        torch.manual_seed(3)  # both sample the same anchors
        found.append(test_rpn_head.losses_and_gradients(head, instances, metas, size))
    for one, other in zip(*found, strict=True):
        assert torch.equal(one, other)
    assert loss in said[0]


@LOSSES_OF_STATISTICS
def test_regions_of_other_losses_are_those_of_objects_alone(loss, monkeypatch):
    said = dense.what_is_logged(monkeypatch, matching)

    def options(scope):
        return {
            'bbox_roi_extractor': roi_heads.extractor(3, scope),
            'bbox_head': roi_heads.box_head(False, {'type': loss}),
            'train_cfg': roi_heads.train_config(),
        }

    ours, theirs = roi_heads.twins(options, (StandardRoIHead, MMDetStandardRoIHead))
    data = roi_heads.ground_truth('some', dense.EQUAL, packed=True)
    expected = roi_heads.assert_trained_alike(ours, theirs, data, 1, monkeypatch)
    assert expected['loss_bbox'] > 0
    assert loss in said[0]


def test_a_touched_or_summed_loss_is_none_of_the_table():
    loss = MMDET_MODELS.build({'type': 'L1Loss'})
    assert why_not_elementwise('loss_bbox', loss) is None
    handle = loss.register_forward_hook(lambda *_: None)
    assert 'hooks' in why_not_elementwise('loss_bbox', loss)
    handle.remove()
    loss.forward = lambda *_, **__: torch.zeros(())
    assert 'forward of its own' in why_not_elementwise('loss_bbox', loss)
    summed = MMDET_MODELS.build({'type': 'L1Loss', 'reduction': 'sum'})
    assert 'reduction=sum' in why_not_elementwise('loss_bbox', summed)
