"""Coordinates of queries against mmdet's, and linear layers that run together."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.layers.transformer.utils import coordinate_to_encoding
from mmdet.models.layers.transformer.utils import inverse_sigmoid as mmdet_inverse_sigmoid
from torch import nn

from swin_mmdet.ops.coordinates import inverse_sigmoid, precise_linear, sine_encoding, with_sizes
from swin_mmdet.ops.stacked_linear import stacked_linear


@pytest.mark.parametrize('numbers', [2, 4])
def test_sine_encodings_are_mmdets(numbers):
    given = torch.rand(2, 7, numbers, generator=torch.Generator().manual_seed(0)) * 1.2
    torch.testing.assert_close(
        sine_encoding(given, 16, 300), coordinate_to_encoding(given, 16, 300), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize('eps', [1e-5, 1e-3])
def test_inverse_sigmoids_are_mmdets_in_float32(eps):
    given = torch.tensor([-1.0, 0, 1e-6, 1e-4, 0.3, 0.5, 1 - 1e-4, 1, 2])
    torch.testing.assert_close(inverse_sigmoid(given, eps), mmdet_inverse_sigmoid(given, eps))
    half = given.bfloat16()
    assert torch.equal(inverse_sigmoid(half, eps), mmdet_inverse_sigmoid(half.float(), eps))


def test_points_are_boxes_of_no_size_before_the_sigmoid():
    points, boxes = torch.rand(3, 2), torch.rand(3, 4)
    found = inverse_sigmoid(with_sizes(points))
    assert torch.equal(found[:, :2], inverse_sigmoid(points))
    assert torch.equal(found[:, 2:], torch.zeros(3, 2))
    assert with_sizes(boxes) is boxes


@pytest.mark.parametrize('precise', [False, True], ids=['as autocast', 'precise'])
def test_layers_run_together_as_alone(precise):
    torch.manual_seed(0)
    layers = [nn.Linear(5, 3) for _ in range(4)]
    x = torch.randn(4, 2, 7, 5, requires_grad=True)
    expected = torch.stack([layer(one) for layer, one in zip(layers, x, strict=True)])
    torch.testing.assert_close(stacked_linear(x, layers, precise=precise), expected)
    with torch.autocast('cpu', torch.bfloat16):
        found = stacked_linear(x, layers, precise=precise)
        alone = precise_linear(x[0].bfloat16(), layers[0].weight, layers[0].bias)
    assert found.dtype == (torch.float32 if precise else torch.bfloat16)
    assert alone.dtype == torch.float32
    torch.testing.assert_close(found.float(), expected, rtol=0, atol=1e-6 if precise else 0.02)
    torch.testing.assert_close(alone, layers[0](x[0].bfloat16().float()))
    found.float().sum().backward()
    assert all(layer.weight.grad.abs().sum() > 0 for layer in layers)
