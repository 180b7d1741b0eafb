"""Heads of DETR, Conditional DETR, Deformable DETR and DINO against mmdet's with the same weights."""

import pytest

import swin_mmdet.compat  # noqa: F401

# isort: split
from tests.detectors.query_heads import COUNTS, DIFFERENT, EQUAL, HEADS, assert_alike, ground_truth, losses_and_gradients, twins

every_head = pytest.mark.parametrize('name', HEADS)
shapes_of_images = pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])


@every_head
@shapes_of_images
@pytest.mark.parametrize('counts', COUNTS)
def test_losses_and_gradients_are_those_of_mmdet(name, shapes, counts):
    samples = ground_truth(counts, shapes)
    assert_alike(*(losses_and_gradients(head, name, samples) for head in twins(name)))
