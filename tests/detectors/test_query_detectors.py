"""Deformable DETR and DINO against mmdet's with the same weights."""

import pytest

import swin_mmdet.compat  # noqa: F401

# isort: split
from tests.detectors.query_detectors import NAMES, losses_and_gradients, twins
from tests.detectors.query_heads import CLASSES, DIFFERENT, EQUAL, assert_alike, ground_truth
from tests.detectors.same_noise import SameNoise

every_detector = pytest.mark.parametrize('name', NAMES)
shapes_of_images = pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])


@every_detector
@shapes_of_images
@pytest.mark.parametrize('counts', ['none', 'some'])
def test_losses_and_gradients_are_those_of_mmdet(name, shapes, counts, monkeypatch):
    samples = ground_truth(counts, shapes)
    SameNoise(samples, CLASSES).install(monkeypatch)
    assert_alike(*(losses_and_gradients(detector, samples) for detector in twins(name)))
