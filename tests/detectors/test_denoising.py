"""Denoising queries of DINO against mmdet's, with the same random numbers and without."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.layers import CdnQueryGenerator as MMDetCdnQueryGenerator

from swin_mmdet.detectors import denoising
from swin_mmdet.detectors.denoising import CdnQueryGenerator, attention_mask
from tests.detectors.cases import DEVICE
from tests.detectors.dense import NoSynchronisation
from tests.detectors.query_heads import CLASSES, DIFFERENT, ground_truth
from tests.detectors.same_noise import SameNoise

CHANNELS, MATCHING = 8, 6
DYNAMIC, STATIC = {'dynamic': True, 'num_dn_queries': 20}, {'dynamic': False, 'num_groups': 3}


def twins(group_cfg, **noise):
    torch.manual_seed(0)
    options = {'num_classes': CLASSES, 'embed_dims': CHANNELS, 'num_matching_queries': MATCHING, 'group_cfg': group_cfg}
    ours, theirs = (cls(**options, **noise).to(DEVICE) for cls in (CdnQueryGenerator, MMDetCdnQueryGenerator))
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


@pytest.mark.parametrize('group_cfg', [DYNAMIC, STATIC], ids=['dynamic', 'static'])
@pytest.mark.parametrize('counts', ['none', 'one', 'some', (5, 5), (0, 31)], ids=str)
@pytest.mark.parametrize('noise', [{}, {'label_noise_scale': 1.6, 'box_noise_scale': 0.4}], ids=['as DINO', 'other'])
def test_queries_are_mmdets_of_the_same_random_numbers(noise, counts, group_cfg, monkeypatch):
    samples = ground_truth(counts, DIFFERENT)
    SameNoise(samples, CLASSES).install(monkeypatch)
    found, expected = (generator(samples) for generator in twins(group_cfg, **noise))
    for one, other in zip(found[:2], expected[:2], strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)
    assert torch.equal(found[2], expected[2])
    assert found[3] == expected[3]


@pytest.mark.parametrize('objects', [0, 1, 7])
@pytest.mark.parametrize('groups', [1, 4])
def test_attention_is_masked_as_mmdets(groups, objects):
    _, theirs = twins(STATIC)
    expected = theirs.generate_dn_mask(objects, groups, DEVICE)
    assert torch.equal(attention_mask(objects, groups, MATCHING, expected.device), expected)


def test_noise_is_spread_as_mmdets(monkeypatch):
    """Ten thousand draws of each, of one object: its label, and how far its sides move."""
    # a mask of so many queries would be of no use
    monkeypatch.setattr(denoising, 'attention_mask', lambda *_: None)
    monkeypatch.setattr(MMDetCdnQueryGenerator, 'generate_dn_mask', lambda *_, **__: None)
    samples = ground_truth((1, 1), DIFFERENT)
    spreads = []
    for generator in twins({'dynamic': False, 'num_groups': 10_000}):
        torch.manual_seed(1)
        torch.nn.init.orthogonal_(generator.label_embedding.weight)
        with torch.no_grad():
            labels, boxes, _, _ = generator(samples)
        near, far = boxes[0].sigmoid().view(10_000, 2, 4).unbind(1)
        shares = (labels[0] @ generator.label_embedding.weight.T).argmax(-1).bincount(minlength=CLASSES) / 20_000
        spreads.append(torch.cat([shares, *(x.mean(0) for x in (near, far)), *(x.std(0) for x in (near, far))]))
    torch.testing.assert_close(*spreads, rtol=0.03, atol=0.012)


def test_nothing_is_asked():
    samples = ground_truth('some', DIFFERENT)
    ours, theirs = twins(DYNAMIC)
    ours(samples)
    with NoSynchronisation():
        ours(samples)
    with NoSynchronisation(), pytest.raises(AssertionError, match='synchronises'):
        theirs(samples)
