"""Products in the place of 1 x 1 convolutions: torch's own convolution, in float64."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from swin_mmdet.ops.pointwise_conv import PointwiseProducts


def maps(channels=5, channels_last=True):
    x = torch.randn(2, channels, 6, 7, dtype=torch.float64)
    return x.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)


@pytest.mark.parametrize('bias', [True, False])
def test_is_the_convolution(bias, monkeypatch):
    layer, x = nn.Conv2d(5, 4, 1, bias=bias).double(), maps().requires_grad_()
    expected = layer(x)
    products = []
    linear = F.linear
    monkeypatch.setattr(F, 'linear', lambda *given: products.append(1) or linear(*given))
    with PointwiseProducts():
        found = layer(x)
    assert products
    torch.testing.assert_close(found, expected)
    assert found.stride() == expected.stride()
    given = torch.randn_like(expected)
    for one, other in zip(
        torch.autograd.grad(found, [x, *layer.parameters()], given),
        torch.autograd.grad(expected, [x, *layer.parameters()], given),
        strict=True,
    ):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    'layer',
    [nn.Conv2d(6, 4, 3), nn.Conv2d(6, 4, 1, stride=2), nn.Conv2d(6, 4, 1, padding=1), nn.Conv2d(6, 4, 1, groups=2)],
    ids=['3 x 3', 'stride', 'padding', 'groups'],
)
def test_other_convolutions_stay(layer, monkeypatch):
    layer, x = layer.double(), maps(6)
    expected = layer(x)
    monkeypatch.setattr(F, 'linear', None)
    with PointwiseProducts():
        assert torch.equal(layer(x), expected)


def test_maps_with_rows_innermost_stay(monkeypatch):
    layer = nn.Conv2d(5, 4, 1).double()
    monkeypatch.setattr(F, 'linear', None)
    with PointwiseProducts():
        layer(maps(channels_last=False))
