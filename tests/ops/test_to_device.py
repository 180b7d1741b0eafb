"""Constants of the host that do not wait for a GPU; that they do not is tested with `to_device`."""

import numpy as np
import pytest
import torch

from swin_mmdet.ops import to_device as module
from swin_mmdet.ops.to_device import AsyncNewTensors


@pytest.mark.parametrize('values', [2, 0.5, [3, 4], [[1.5], [2]], np.arange(3), []], ids=str)
@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.int64], ids=str)
def test_new_tensors_are_those_of_torch(values, dtype, monkeypatch):
    made = []
    to_device = module.to_device
    monkeypatch.setattr(module, 'to_device', lambda *args: made.append(args) or to_device(*args))
    like = torch.zeros(2, dtype=dtype)
    expected = like.new_tensor(values)
    with AsyncNewTensors():
        found = like.new_tensor(values)
    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    assert len(made) == 1


def test_a_new_tensor_with_options_is_torchs():
    with AsyncNewTensors():
        found = torch.zeros(1).new_tensor([1.0], dtype=torch.int8)
        assert found.dtype == torch.int8
        assert torch.ones(2).sum() == 2
