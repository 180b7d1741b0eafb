"""When tensors may be stand-ins, so that none is remembered: each of the ways, and what plain calls are spared."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from swin_mmdet.ops.to_device import NewTensors, to_device
from swin_mmdet.ops.tracing import is_traced, remembered


@pytest.fixture
def ones():
    """A remembered function."""
    return remembered(4)(torch.ones)


@pytest.mark.parametrize('inside', [False, True], ids=['alone', 'in another mode'])
def test_the_meta_device_is_seen_as_a_context_and_as_the_default(inside, ones):
    mode = NewTensors(to_device) if inside else torch.device('cpu')
    with mode:
        with torch.device('meta'):
            assert is_traced()
            assert ones(3).is_meta
        torch.set_default_device('meta')
        try:
            assert is_traced()
            assert ones(3).is_meta
        finally:
            torch.set_default_device(None)
    assert not is_traced()
    assert ones.cache_info().currsize == 0
    assert ones(3).tolist() == [1, 1, 1]
    assert ones.cache_info().currsize == 1


def test_another_default_device_is_no_trace(ones):
    with torch.device('cpu'):
        assert not is_traced()
        assert ones(3) is ones(3)


@pytest.mark.parametrize('watch', ['dispatch', 'vmap', 'jit'])
def test_who_watches_operations_gets_new_tensors(watch, ones):
    kept, seen = ones(3), []

    def add(x):
        seen.append((is_traced(), ones(3)))
        return x + seen[-1][1]

    if watch == 'dispatch':
        with FlopCounterMode(display=False):
            add(torch.zeros(3))
    elif watch == 'vmap':
        torch.vmap(add)(torch.zeros(2, 3))
    else:
        torch.jit.trace(add, torch.zeros(3), check_trace=False)
    assert seen
    assert all(traced and x is not kept for traced, x in seen)
    assert ones(3) is kept


def test_without_a_mode_nobody_is_asked_for_the_default_device(monkeypatch, ones):
    """Which takes longer than all else that is asked at each call."""
    monkeypatch.setattr(torch, 'get_default_device', lambda: pytest.fail('asked'))
    assert ones(3) is ones(3)
