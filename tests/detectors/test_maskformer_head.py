"""The head of MaskFormer against mmdet's with the same weights."""

import copy

import pytest
import torch
from torch import nn

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models import dense_heads
from mmdet.models.task_modules import MaskPseudoSampler
from mmengine.config import ConfigDict

from swin_mmdet import detectors
from swin_mmdet.detectors import MaskFormerHead, mask_set_head
from swin_mmdet.ops import to_device
from tests.detectors.cases import DEVICE
from tests.detectors.dense import NoSynchronisation, what_is_logged
from tests.detectors.mask_heads import (
    CHANNELS,
    DIFFERENT,
    EQUAL,
    ground_truth,
    losses_and_gradients,
    settings,
)
from tests.detectors.query_heads import assert_alike
from tests.numerics import assert_model_no_worse_than_eager

STUFF = 4
FOCAL = {'type': 'FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25, 'loss_weight': 20.0}
DICE = {'type': 'DiceLoss', 'activate': True, 'naive_dice': True, 'eps': 1.0, 'loss_weight': 1.0}
COSTS = [
    {'type': 'ClassificationCost', 'weight': 1.0},
    {'type': 'FocalLossCost', 'weight': 20.0, 'binary_input': True},
    {'type': 'DiceCost', 'weight': 1.0, 'pred_act': True, 'eps': 1.0},
]


@pytest.fixture
def said(monkeypatch):
    return what_is_logged(monkeypatch, mask_set_head)


def twins(stuff=0, **options):
    """Ours and mmdet's, of the same weights."""
    torch.manual_seed(0)
    made = []
    for module in (detectors, dense_heads):
        config = copy.deepcopy(settings(stuff=stuff, costs=COSTS, loss_mask=FOCAL, loss_dice=DICE, **options))
        config.pop('num_transformer_feat_level')
        config.pop('strides')
        config['enforce_decoder_input_project'] = True
        config['pixel_decoder'] = {'type': 'PixelDecoder', 'norm_cfg': {'type': 'GN', 'num_groups': 4}}
        made.append(module.MaskFormerHead(**ConfigDict(config)).to(DEVICE))
    ours, theirs = made
    for name, parameter in ours.named_parameters():
        # queries that differ little have ties among their costs
        nn.init.normal_(parameter, std=2.0 if name.startswith('query') else CHANNELS**-0.5)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize('counts', ['none', 'one', 'some', 'crowd'])
@pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])
def test_losses_and_gradients_are_those_of_mmdet(shapes, counts, said):
    samples = ground_truth(counts, shapes)
    # mmdet takes masks as tensors of all pixels, which compact ones become
    found, expected = (losses_and_gradients(head, copy.deepcopy(samples)) for head in twins())
    assert_alike(found, expected)
    assert (expected[0]['loss_mask'] > 0) == (counts != 'none')
    assert said == []


@pytest.mark.parametrize('counts', ['none', 'some'])
def test_stuff_is_matched_as_objects_are(counts, said):
    samples = ground_truth(counts, DIFFERENT, stuff=STUFF)
    if counts == 'none':
        # of which nothing is known
        samples[1].gt_sem_seg.sem_seg.fill_(255)
    assert_alike(*(losses_and_gradients(head, copy.deepcopy(samples)) for head in twins(stuff=STUFF)))
    assert said == []


@pytest.mark.parametrize('stuff', [0, STUFF], ids=['objects', 'stuff'])
def test_training_synchronises_for_costs_alone_and_for_stuff(stuff, monkeypatch):
    waits, wait = [], to_device.AsyncHostCopy.wait
    monkeypatch.setattr(to_device.AsyncHostCopy, 'wait', lambda what: waits.append(what) or wait(what))
    samples = ground_truth('some', DIFFERENT, stuff=stuff)
    head, _ = twins(stuff=stuff)
    losses_and_gradients(head, samples)
    waits.clear()
    with NoSynchronisation():
        losses_and_gradients(head, samples)
    assert len(waits) == 1 + (stuff > 0)


def test_losses_are_float32_under_autocast_and_no_worse_than_mmdets():
    samples = ground_truth('some', DIFFERENT)
    heads = twins()
    truth = losses_and_gradients(heads[1], copy.deepcopy(samples))
    with torch.autocast(DEVICE, torch.bfloat16):
        found, eager = (losses_and_gradients(head, copy.deepcopy(samples)) for head in heads)
    assert {loss.dtype for loss in found[0].values()} == {torch.float32}
    losses = ([value.float().reshape(()) for value in one[0].values()] for one in (found, eager, truth))
    assert_model_no_worse_than_eager(*losses, torch.bfloat16)


class OwnHead(MaskFormerHead):
    """A head whose targets are not those of `MaskFormerHead`."""

    def get_targets(self, *args, **kwargs):
        return super().get_targets(*args, **kwargs)


class OwnSampler(MaskPseudoSampler):
    """A sampler that may choose."""


def with_own_targets(head):
    head.__class__ = OwnHead


def with_own_sampler(head):
    head.sampler.__class__ = OwnSampler


@pytest.mark.parametrize(
    ('change', 'reason'),
    [
        (with_own_targets, 'OwnHead: training as in mmdet: OwnHead has a get_targets of its own'),
        (
            with_own_sampler,
            'MaskFormerHead: training as in mmdet: the sampler is OwnSampler, not MaskPseudoSampler',
        ),
    ],
    ids=['targets', 'sampler'],
)
def test_what_it_cannot_do_is_mmdets_and_said(change, reason, said):
    ours, theirs = twins()
    change(ours)
    samples = ground_truth('some', DIFFERENT)
    assert_alike(*(losses_and_gradients(head, copy.deepcopy(samples)) for head in (ours, theirs)))
    assert said == [reason]
