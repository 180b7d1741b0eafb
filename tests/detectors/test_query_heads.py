"""Heads of DETR, Conditional DETR, Deformable DETR and DINO against mmdet's with the same weights."""

import copy

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.task_modules import HungarianAssigner, IoUCost
from mmengine.config import ConfigDict

from swin_mmdet.detectors import DETRHead, DINOHead, query_head
from swin_mmdet.ops import to_device
from tests.detectors.cases import DEVICE
from tests.detectors.dense import NoSynchronisation, what_is_logged
from tests.detectors.query_heads import (
    COSTS,
    COUNTS,
    DIFFERENT,
    EQUAL,
    FOCAL,
    HEADS,
    QUALITY,
    SOFTMAX,
    assert_alike,
    decoded,
    ground_truth,
    losses_and_gradients,
    twins,
)
from tests.numerics import assert_model_no_worse_than_eager

every_head = pytest.mark.parametrize('name', HEADS)
shapes_of_images = pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])
WEIGHTED = {'type': 'CrossEntropyLoss', 'use_sigmoid': False, 'class_weight': [1.0, 2.0, 0.5, 0.1]}
SOFTMAX_COST = {'type': 'ClassificationCost', 'weight': 1.5}


@pytest.fixture
def said(monkeypatch):
    return what_is_logged(monkeypatch, query_head)


@every_head
@shapes_of_images
@pytest.mark.parametrize('counts', COUNTS)
def test_losses_and_gradients_are_those_of_mmdet(name, shapes, counts, said):
    samples = ground_truth(counts, shapes)
    found, expected = (losses_and_gradients(head, name, samples) for head in twins(name))
    assert_alike(found, expected)
    assert expected[0]['loss_cls'] > 0
    assert (expected[0]['loss_bbox'] > 0) == (counts != 'none')
    assert said == []


@pytest.mark.parametrize(
    ('name', 'options'),
    [
        ('DINOHead', {'loss_cls': QUALITY}),
        ('DeformableDETRHead, two stages', {'loss_cls': QUALITY}),
        ('DeformableDETRHead', {'loss_cls': WEIGHTED, 'costs': [SOFTMAX_COST, *COSTS[1:]]}),
        ('DINOHead', {'costs': [{'type': 'FocalLossCost', 'alpha': 0.4, 'gamma': 1.5, 'weight': 0.7}]}),
        ('DINOHead', {'costs': [{'type': 'BBoxL1Cost', 'box_format': 'xyxy'}, {'type': 'IoUCost', 'iou_mode': 'iou'}]}),
        ('DINOHead', {'loss_iou': {'type': 'GIoULoss', 'loss_weight': 1.0, 'eps': 1e-3}, 'sync_cls_avg_factor': False}),
        ('DETRHead', {'loss_cls': SOFTMAX | {'bg_cls_weight': 0.7, 'class_weight': 1.4}}),
        ('DETRHead', {'loss_cls': FOCAL, 'costs': COSTS}),
    ],
    ids=['quality', 'quality of pixels', 'softmax', 'focal cost', 'other costs', 'giou', 'weights', 'focal'],
)
def test_settings(name, options, said):
    samples = ground_truth('some', DIFFERENT)
    assert_alike(*(losses_and_gradients(head, name, samples) for head in twins(name, **copy.deepcopy(options))))
    assert said == []


def test_detr_is_set_as_mmdets_is():
    """mmdet's class knows the weight of background only of itself, not of a class of it."""
    made = DETRHead(num_classes=3)
    assert made.bg_cls_weight == 0.1
    assert made.loss_cls.class_weight == [1.0, 1.0, 1.0, 0.1]
    # without one of its own, background weighs as much as a class
    loss = {key: value for key, value in SOFTMAX.items() if key != 'bg_cls_weight'} | {'class_weight': 2.0}
    made = DETRHead(num_classes=3, loss_cls=ConfigDict(loss))
    assert (made.bg_cls_weight, made.loss_cls.class_weight) == (2.0, [2.0] * 4)
    with pytest.raises(ValueError, match='DETRHead: class_weight must be a float, got 2'):
        DETRHead(num_classes=3, loss_cls=ConfigDict(loss | {'class_weight': 2}))
    with pytest.raises(ValueError, match="DETRHead: bg_cls_weight must be a float, got 'low'"):
        DETRHead(num_classes=3, loss_cls=ConfigDict(SOFTMAX | {'bg_cls_weight': 'low'}))


@every_head
@shapes_of_images
@pytest.mark.parametrize('rescale', [False, True], ids=['as seen', 'rescaled'])
@pytest.mark.parametrize('most', [15, 1], ids=str)
def test_detections_are_those_of_mmdet(name, shapes, rescale, most):
    samples = ground_truth('none', shapes)
    results = []
    for head in twins(name, test_cfg={'max_per_img': most}):
        arguments, _ = decoded(name, samples)
        given = {key: arguments[key] for key in ('hidden_states', 'references') if key in arguments}
        with torch.no_grad(), NoSynchronisation():
            results.append(head.eval().predict(**given, batch_data_samples=samples, rescale=rescale))
    assert len(results[0]) == 2
    for one, other in zip(*results, strict=True):
        assert list(one.keys()) == list(other.keys())
        assert len(one) == len(other) == most
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one.bboxes, other.bboxes, rtol=1e-5, atol=1e-3)
        assert torch.equal(one.labels, other.labels)


@every_head
@pytest.mark.parametrize('counts', ['none', 'one', 'crowd'])
def test_training_asks_the_gpu_for_costs_alone(name, counts, monkeypatch):
    waits, wait = [], to_device.AsyncHostCopy.wait
    monkeypatch.setattr(to_device.AsyncHostCopy, 'wait', lambda costs: waits.append(costs) or wait(costs))
    samples = ground_truth(counts, DIFFERENT)
    head, _ = twins(name)
    arguments, _ = decoded(name, samples)
    with NoSynchronisation():
        sum(head.loss(**arguments, batch_data_samples=samples).values()).backward()
    assert len(waits) == 1


def test_mmdets_head_asks():
    """As a check of the check."""
    samples = ground_truth('some', DIFFERENT)
    _, head = twins('DINOHead')
    arguments, _ = decoded('DINOHead', samples)
    with NoSynchronisation(), pytest.raises(AssertionError, match='synchronises'):
        head.loss(**arguments, batch_data_samples=samples)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@every_head
def test_a_gpu_is_never_waited_for_by_itself(name):
    """The one wait of a step is for an event, which is no synchronisation of the device."""
    samples = ground_truth('some', DIFFERENT)
    head, _ = twins(name)
    for mode in ('default', 'error'):
        arguments, _ = decoded(name, samples)
        torch.cuda.set_sync_debug_mode(mode)
        try:
            sum(head.loss(**arguments, batch_data_samples=samples).values()).backward()
        finally:
            torch.cuda.set_sync_debug_mode('default')


@pytest.mark.parametrize('name', ['DeformableDETRHead, two stages', 'DINOHead'])
def test_what_is_not_a_number_cannot_be_matched(name):
    samples = ground_truth('some', EQUAL)
    for head in twins(name):
        torch.nn.init.constant_(head.cls_branches[0].bias, np.nan)
        with pytest.raises(ValueError, match='invalid numeric entries'):
            losses_and_gradients(head, name, samples)


@every_head
def test_boxes_and_losses_are_float32_under_autocast(name):
    """And no worse than mmdet's, whose boxes are half: float32 judges."""
    samples = ground_truth('some', DIFFERENT)
    heads = twins(name)
    arguments, _ = decoded(name, samples)
    given = [arguments[key] for key in ('hidden_states', 'references') if key in arguments]
    exact, (truth, _) = heads[1](*given)[1], losses_and_gradients(heads[1], name, samples)
    with torch.autocast(DEVICE, torch.bfloat16):
        boxes, half = (head(*given)[1] for head in heads)
        (found, _), (eager, _) = (losses_and_gradients(head, name, samples) for head in heads)
    assert {boxes.dtype, *(loss.dtype for loss in found.values())} == {torch.float32}
    errors = [(one - exact).abs().mean() for one in (boxes, half)]
    assert errors[0] < 0.7 * errors[1]
    losses = ([value.float().reshape(()) for value in one.values()] for one in (found, eager, truth))
    assert_model_no_worse_than_eager(*losses, torch.bfloat16)


class OwnAssigner(HungarianAssigner):
    """An assigner that may assign otherwise."""


class OwnCost(IoUCost):
    """A cost that may depend on all predictions."""


class OwnHead(DINOHead):
    """A head whose targets are not those of `DINOHead`."""

    def get_targets(self, *args, **kwargs):
        return super().get_targets(*args, **kwargs)


def with_own_assigner(head):
    head.assigner.__class__ = OwnAssigner


def with_own_cost(head):
    head.assigner.match_costs[-1].__class__ = OwnCost


def with_own_targets(head):
    head.__class__ = OwnHead if isinstance(head, DINOHead) else type(head)


def unchanged(_head):
    pass


@pytest.mark.parametrize(
    ('change', 'options', 'reason'),
    [
        (with_own_assigner, {}, 'DINOHead: training as in mmdet: the assigner is OwnAssigner, not HungarianAssigner'),
        (with_own_cost, {}, 'DINOHead: training as in mmdet: the assigner has the cost OwnCost'),
        (with_own_targets, {}, 'OwnHead: training as in mmdet: OwnHead has a get_targets of its own'),
        (
            unchanged,
            {'loss_bbox': {'type': 'SmoothL1Loss'}},
            'DINOHead: training as in mmdet: loss_bbox is SmoothL1Loss',
        ),
        (
            unchanged,
            {'loss_iou': {'type': 'DIoULoss'}},
            'DINOHead: training as in mmdet: loss_iou is DIoULoss',
        ),
        (
            unchanged,
            {'loss_cls': {'type': 'VarifocalLoss', 'use_sigmoid': True}},
            'DINOHead: training as in mmdet: loss_cls is VarifocalLoss',
        ),
    ],
    ids=['assigner', 'cost', 'targets', 'loss_bbox', 'loss_iou', 'loss_cls'],
)
def test_what_it_cannot_do_is_mmdets_and_said(change, options, reason, said):
    heads = twins('DINOHead', **options)
    for head in heads:
        change(head)
    samples = ground_truth('some', DIFFERENT)
    if 'loss_cls' not in options:
        assert_alike(*(losses_and_gradients(head, 'DINOHead', samples) for head in heads))
    else:
        # whose targets are of another shape than a head of DINO has
        for head in heads:
            with pytest.raises(AssertionError):
                losses_and_gradients(head, 'DINOHead', samples)
    assert said == [reason]
