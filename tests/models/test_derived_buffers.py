"""Buffers outside the state dict have their values on whatever way a model gets memory."""

import copy
import pickle
from unittest import mock

import pytest
import torch
from torch import nn

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.detectors import DetDataPreprocessor
from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from swin_mmdet.models.derived_buffers import DerivedBuffers
from swin_mmdet.reppoints_v2 import RepPointsV2Head
from tests.reppoints_v2.heads import build_head

ARCH = {'embed_dims': 16, 'depths': (2, 1), 'num_heads': (1, 2), 'window_size': 4, 'out_indices': (0, 1)}


def without_init_weights(build):
    """Which mmengine cannot do on the meta device."""
    with mock.patch.object(RepPointsV2Head, 'init_weights', return_value=None):
        return build()


MAKE = {
    'V1': lambda: SwinTransformer(**ARCH, drop_path_rate=0.5),
    'V2': lambda: SwinTransformerV2(**ARCH, drop_path_rate=0.5, pretrained_window_size=7),
    'RepPoints V2': lambda: without_init_weights(build_head),
    'preprocessor': lambda: DetDataPreprocessor(mean=[1.0, 2.0, 3.0], std=[4, 5, 6], pad_size_divisor=32),
}
ALL = pytest.mark.parametrize('name', MAKE)


def on_meta(name):
    with torch.device('meta'):
        return MAKE[name]()


def derived(model):
    """By name, those that no state dict has."""
    stored = set(model.state_dict())
    return {name: x for name, x in model.named_buffers() if name not in stored}


def spoil(model):
    for buffer in derived(model).values():
        buffer.fill_(7)


def assert_derived(model, name):
    expected = derived(MAKE[name]())
    found = derived(model)
    assert expected
    assert found.keys() == expected.keys()
    for key, value in expected.items():
        torch.testing.assert_close(found[key], value, rtol=0, atol=0)


@ALL
def test_every_buffer_outside_the_state_dict_is_derived(name):
    model = MAKE[name]()
    known = [
        f'{prefix}.{key}'.lstrip('.') for prefix, module in model.named_modules() if isinstance(module, DerivedBuffers)
        for key in module.derived_buffers()
    ]  # fmt: skip
    assert sorted(known) == sorted(derived(model))


@ALL
def test_from_the_meta_device(name):
    model = on_meta(name)
    assert all(x.is_meta for x in derived(model).values())
    model = model.to_empty(device='cpu')
    assert_derived(model, name)
    model.load_state_dict(MAKE[name]().state_dict())
    assert_derived(model, name)


@ALL
def test_on_the_meta_device_after_transformers_has_loaded(name):
    """It replaces `torch.linspace` while it does so; what `torch.device` first saw then, it knows for good."""
    known = torch.utils._device._device_constructors() - {torch.linspace}
    with mock.patch('torch.utils._device._device_constructors', return_value=known):
        assert all(x.is_meta for x in derived(on_meta(name)).values())


@ALL
def test_a_state_dict_that_is_assigned_to_the_meta_device(name):
    model = on_meta(name)
    model.load_state_dict(MAKE[name]().state_dict(), assign=True)
    assert_derived(model, name)


@ALL
def test_memory_without_values_of_a_model_that_had_them(name):
    model = MAKE[name]()
    spoil(model)
    model.to_empty(device='cpu')
    assert_derived(model, name)


@ALL
def test_part_by_part_and_in_a_container(name):
    """As FSDP does: `to_empty` of each module by itself; and of whatever holds the model."""
    model = on_meta(name)
    for module in model.modules():
        module.to_empty(device='cpu', recurse=False)
    assert_derived(model, name)
    holder = nn.ModuleList([on_meta(name)]).to_empty(device='cpu')
    assert_derived(holder[0], name)


@ALL
def test_other_moves_leave_them_alone(name):
    """What a user set in place stays, through casts, copies and loading."""
    model = MAKE[name]()
    spoil(model)
    model.load_state_dict(model.state_dict())
    for other in (model.double(), copy.deepcopy(model), pickle.loads(pickle.dumps(model)), model.cpu()):
        assert all((x == 7).all() for x in derived(other).values())


@pytest.mark.parametrize('cls', [SwinTransformer, SwinTransformerV2])
def test_weights_after_to_empty_are_initialised(cls):
    """`init_weights`, which else leaves what the constructor did; in the constructor's distributions."""
    with torch.device('meta'):
        model = cls(**ARCH, use_abs_pos_embed=True)
    model.to_empty(device='cpu')
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.fill_(float('nan'))
    torch.manual_seed(0)
    model.init_weights()
    for name, expected in cls(**ARCH, use_abs_pos_embed=True).named_parameters():
        found = model.get_parameter(name)
        assert found.isfinite().all(), name
        one, other = found.std(correction=0), expected.std(correction=0)
        assert other / 2 <= one <= other * 2, name
    weights = copy.deepcopy(model.state_dict())
    model.init_weights()
    assert all(torch.equal(x, weights[key]) for key, x in model.state_dict().items())
    # nor is what was loaded after it
    model.to_empty(device='cpu').load_state_dict(weights)
    model.init_weights()
    assert all(torch.equal(x, weights[key]) for key, x in model.state_dict().items())
