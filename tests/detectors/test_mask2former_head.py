"""The head of Mask2Former against mmdet's with the same weights and the same random points."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.task_modules import DiceCost, HungarianAssigner, MaskPseudoSampler

from swin_mmdet.detectors import Mask2FormerHead, mask_set_head
from swin_mmdet.ops import to_device
from tests.detectors.cases import DEVICE
from tests.detectors.dense import NoSynchronisation, what_is_logged
from tests.detectors.mask_heads import (
    COSTS,
    COUNTS,
    DIFFERENT,
    EQUAL,
    ground_truth,
    losses_and_gradients,
    maps,
    settings,
    twins,
    with_same_points,
)
from tests.detectors.query_heads import assert_alike
from tests.numerics import assert_model_no_worse_than_eager

shapes_of_images = pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])
STUFF = 4


@pytest.fixture
def said(monkeypatch):
    return what_is_logged(monkeypatch, mask_set_head)


def stuff_of(sample):
    return sum(3 <= label < 3 + STUFF for label in sample.gt_sem_seg.sem_seg.unique().tolist())


@pytest.mark.parametrize('counts', COUNTS)
@shapes_of_images
def test_losses_and_gradients_are_those_of_mmdet(shapes, counts, monkeypatch, said):
    """Of three hundred objects many are as good as tied: which of them is matched is the rounding of a processor."""
    samples = ground_truth(counts, shapes)
    found, expected = with_same_points(twins(), samples, COUNTS[counts], monkeypatch)
    if counts == 'three hundred':
        assert list(found[0]) == list(expected[0])
        for name, loss in expected[0].items():
            torch.testing.assert_close(found[0][name], loss.reshape(found[0][name].shape), rtol=0.01, atol=1e-5)
    else:
        assert_alike(found, expected)
    assert (expected[0]['loss_mask'] > 0) == (counts != 'none')
    assert said == []


@pytest.mark.parametrize('counts', ['none', 'some'])
def test_stuff_is_matched_as_objects_are(counts, monkeypatch, said):
    samples = ground_truth(counts, DIFFERENT, stuff=STUFF)
    masks = [count + stuff_of(sample) for count, sample in zip(COUNTS[counts], samples)]
    assert min(masks) > 1
    if counts == 'none':
        # of which nothing is known
        samples[1].gt_sem_seg.sem_seg.fill_(255)
        masks[1] = 0
    assert_alike(*with_same_points(twins(stuff=STUFF), samples, masks, monkeypatch))
    assert said == []


def test_bitmaps_are_taken_as_packed_masks_are(monkeypatch):
    heads = twins()[:1]
    pair = [ground_truth('some', DIFFERENT, packed=packed) for packed in (False, True)]
    assert_alike(*(with_same_points(heads, samples, COUNTS['some'], monkeypatch)[0] for samples in pair))


FOCAL = {'type': 'FocalLossCost', 'weight': 20.0, 'binary_input': True}


@pytest.mark.parametrize(
    'options',
    [
        {'costs': [*COSTS[:2], {'type': 'DiceCost', 'weight': 2.0, 'naive_dice': False, 'eps': 0.1}]},
        {'costs': [COSTS[0], FOCAL, COSTS[2]]},
        {'loss_dice': {'type': 'DiceLoss', 'naive_dice': False, 'loss_weight': 3.0}},
        {'train_cfg': settings()['train_cfg'] | {'importance_sample_ratio': 1.0}},
        {'enforce_decoder_input_project': True},
    ],
    ids=['dice cost', 'focal cost', 'dice', 'all uncertain', 'projected'],
)
def test_settings(options, monkeypatch, said):
    samples = ground_truth('some', DIFFERENT)
    assert_alike(*with_same_points(twins(**copy.deepcopy(options)), samples, COUNTS['some'], monkeypatch))
    assert said == []


@pytest.mark.parametrize('stuff', [0, STUFF], ids=['objects', 'stuff'])
@pytest.mark.parametrize('counts', ['none', 'one', 'crowd'])
def test_training_synchronises_for_costs_alone_and_for_stuff(counts, stuff, monkeypatch):
    waits, wait = [], to_device.AsyncHostCopy.wait
    monkeypatch.setattr(to_device.AsyncHostCopy, 'wait', lambda what: waits.append(what) or wait(what))
    samples = ground_truth(counts, DIFFERENT, stuff=stuff)
    head, _ = twins(stuff=stuff)
    losses_and_gradients(head, samples)
    waits.clear()
    with NoSynchronisation():
        losses_and_gradients(head, samples)
    assert len(waits) == (stuff > 0) + (stuff > 0 or counts != 'none')


def test_mmdets_head_asks():
    """As a check of the check."""
    samples = ground_truth('some', DIFFERENT)
    with NoSynchronisation(), pytest.raises(AssertionError, match='synchronises'):
        losses_and_gradients(twins()[1], samples)


def test_losses_are_float32_under_autocast_and_no_worse_than_mmdets(monkeypatch):
    samples = ground_truth('some', DIFFERENT)
    heads = twins()
    truth = with_same_points(heads[1:], samples, COUNTS['some'], monkeypatch)[0]
    with torch.autocast(DEVICE, torch.bfloat16):
        found, eager = with_same_points(heads, samples, COUNTS['some'], monkeypatch)
    assert {loss.dtype for loss in found[0].values()} == {torch.float32}
    for key, gradient in truth[1].items():
        # weights in low precision that were kept without a gradient would have none
        assert bool(gradient.any()) == bool(found[1][key].any()), key
    losses = ([value.float().reshape(()) for value in one[0].values()] for one in (found, eager, truth))
    assert_model_no_worse_than_eager(*losses, torch.bfloat16)


def test_forward_is_that_of_mmdet():
    samples = ground_truth('none', DIFFERENT)
    with torch.no_grad():
        found, expected = (head(maps(samples), samples) for head in twins())
    for one, other in zip(found, expected, strict=True):
        assert len(one) == len(other) == 4
        torch.testing.assert_close(list(one), list(other), rtol=1e-5, atol=2e-5)


class OwnAssigner(HungarianAssigner):
    """An assigner that may assign otherwise."""


class OwnCost(DiceCost):
    """A cost that may depend on all predictions."""


class OwnSampler(MaskPseudoSampler):
    """A sampler that may choose."""


class OwnHead(Mask2FormerHead):
    """A head whose targets are not those of `Mask2FormerHead`."""

    def get_targets(self, *args, **kwargs):
        return super().get_targets(*args, **kwargs)


def with_own_assigner(head):
    head.assigner.__class__ = OwnAssigner


def with_own_cost(head):
    head.assigner.match_costs[-1].__class__ = OwnCost


def with_own_sampler(head):
    head.sampler.__class__ = OwnSampler


def with_own_targets(head):
    head.__class__ = OwnHead if isinstance(head, Mask2FormerHead) else type(head)


def unchanged(_head):
    pass


FOCAL_LOSS = {'type': 'FocalLoss', 'use_sigmoid': True, 'loss_weight': 20.0}


@pytest.mark.parametrize(
    ('change', 'options', 'reason'),
    [
        (with_own_assigner, {}, 'the assigner is OwnAssigner, not HungarianAssigner'),
        (with_own_cost, {}, 'the assigner has the cost OwnCost'),
        (with_own_sampler, {}, 'the sampler is OwnSampler, not MaskPseudoSampler'),
        (with_own_targets, {}, 'OwnHead has a get_targets of its own'),
        (unchanged, {'loss_dice': {'type': 'DiceLoss', 'reduction': 'sum'}}, 'loss_dice has reduction=sum'),
        (
            unchanged,
            {'loss_mask': {'type': 'CrossEntropyLoss', 'use_sigmoid': True, 'class_weight': [2.0]}},
            "loss_mask has use_sigmoid=True, class_weight=[2.0]",
        ),
    ],
    ids=['assigner', 'cost', 'sampler', 'targets', 'reduction', 'weights'],
)
def test_what_it_cannot_do_is_mmdets_and_said(change, options, reason, monkeypatch, said):
    heads = twins(**options)
    for head in heads:
        change(head)
    samples = ground_truth('some', DIFFERENT)
    if 'reduction=' in reason:
        # mmdet's loss refuses a sum with a factor
        for head in heads:
            with pytest.raises(ValueError, match='avg_factor'):
                losses_and_gradients(head, samples)
    else:
        assert_alike(*with_same_points(heads, samples, COUNTS['some'], monkeypatch))
    name = 'OwnHead' if 'OwnHead' in reason else 'Mask2FormerHead'
    assert said == [f'{name}: training as in mmdet: {reason}']


def test_what_is_not_a_number_cannot_be_matched():
    samples = ground_truth('some', EQUAL)
    for head in twins():
        torch.nn.init.constant_(head.cls_embed.bias, float('nan'))
        with pytest.raises(ValueError, match='invalid numeric entries'):
            losses_and_gradients(head, samples)


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_a_gpu_is_never_waited_for_by_itself():
    """The waits of a step are for events, which are no synchronisations of the device."""
    samples = ground_truth('some', DIFFERENT, stuff=STUFF)
    head, _ = twins(stuff=STUFF)
    for mode in ('default', 'error'):
        # bringing the test's own maps to the GPU is a wait
        features = maps(samples)
        torch.cuda.set_sync_debug_mode(mode)
        try:
            losses_and_gradients(head, samples, features)
        finally:
            torch.cuda.set_sync_debug_mode('default')
