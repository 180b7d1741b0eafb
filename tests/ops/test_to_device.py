"""Constants of the host that do not wait for a GPU; that they do not is tested with `to_device`."""

import numpy as np
import pytest
import torch

from swin_mmdet.ops.to_device import NewTensors, constant_like, to_device


@pytest.mark.parametrize('values', [2, 0.5, [3, 4], [[1.5], [2]], np.arange(3), []], ids=str)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.int64], ids=str)
@pytest.mark.parametrize('make', [to_device, constant_like])
def test_new_tensors_are_those_of_torch(values, dtype, make):
    made = []
    like = torch.zeros(2, dtype=dtype)
    expected = like.new_tensor(values)
    with NewTensors(lambda *args: made.append(args) or make(*args)):
        found = like.new_tensor(values)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert found.dtype == dtype
    assert len(made) == 1


def test_a_new_tensor_with_options_is_torchs():
    with NewTensors(to_device):
        found = torch.zeros(1).new_tensor([1.0], dtype=torch.int8)
        assert found.dtype == torch.int8
        assert torch.ones(2).sum() == 2


def test_constants_are_made_once():
    like = torch.zeros(2)
    with NewTensors(constant_like):
        assert like.new_tensor([1.0, 2.0]) is like.new_tensor((1.0, 2.0))
        assert like.new_tensor([1.0, 2.0]) is not like.double().new_tensor([1.0, 2.0])
        # of others nobody knows whether they will be the same
        assert like.new_tensor([[1.0]]) is not like.new_tensor([[1.0]])
