"""Heads of DETR, Conditional DETR, Deformable DETR and DINO against mmdet's with the same weights."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from tests.detectors.query_heads import COUNTS, DIFFERENT, EQUAL, HEADS, ground_truth, losses_and_gradients, twins

every_head = pytest.mark.parametrize('name', HEADS)
shapes_of_images = pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])


def assert_trained_alike(heads, name, samples):
    (found, gradients), (expected, expected_gradients) = (losses_and_gradients(head, name, samples) for head in heads)
    assert list(found) == list(expected)
    for key, loss in found.items():
        torch.testing.assert_close(loss, expected[key].reshape(()), rtol=1e-5, atol=1e-6, msg=lambda text, key=key: key + text)
    for key, one in gradients.items():
        other = expected_gradients[key]
        allowed = 1e-5 * max(1, other.abs().max().item())
        torch.testing.assert_close(one, other, rtol=0, atol=allowed, msg=lambda text, key=key: key + text)
    return expected


@every_head
@shapes_of_images
@pytest.mark.parametrize('counts', COUNTS)
def test_losses_and_gradients_are_those_of_mmdet(name, shapes, counts):
    assert_trained_alike(twins(name), name, ground_truth(counts, shapes))
