"""Weights of 1 x 1 convolutions have the strides of gradients of maps with their channels innermost."""

import copy

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from swin_mmdet.engine.gradient_strides import stride_as_gradients

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def made():
    torch.manual_seed(0)
    layers = nn.Conv2d(3, 8, 3), nn.Conv2d(8, 4, 1), nn.Conv2d(4, 4, 1, groups=2), nn.Conv2d(4, 1, 1)
    return nn.Sequential(*layers).to(DEVICE)


def test_values_and_memory_stay():
    model = made()
    before = copy.deepcopy(model.state_dict())
    places = [x.data_ptr() for x in model.parameters()]
    stride_as_gradients(model)
    assert [x.data_ptr() for x in model.parameters()] == places
    assert all(torch.equal(x, before[name]) for name, x in model.state_dict().items())
    assert model[0].weight.stride() == (27, 9, 3, 1)
    assert model[1].weight.stride() == (8, 1, 8, 8)
    assert model[2].weight.stride() == (2, 1, 2, 2)
    image = torch.rand(2, 3, 9, 9, device=DEVICE)
    torch.testing.assert_close(model(image), made()(image))
    # a file of the weights is read by a model that is as ever
    other = made()
    other.load_state_dict(model.state_dict())
    assert all(torch.equal(x, y) for x, y in zip(other.parameters(), model.parameters(), strict=True))


@pytest.mark.skipif(DEVICE == 'cpu', reason='is about gradients of cuDNN')
def test_gradients_have_them():
    model = made()
    stride_as_gradients(model)
    image = torch.rand(2, 3, 9, 9, device=DEVICE).to(memory_format=torch.channels_last)
    with torch.autocast('cuda', torch.bfloat16):
        F.mse_loss(model(image).float(), torch.zeros(1, device=DEVICE)).backward()
    assert all(x.grad.stride() == x.stride() for x in model.parameters() if x.dim() == 4)
