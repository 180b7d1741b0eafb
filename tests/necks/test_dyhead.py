"""DyHead for all levels at once: mmdet's with the same weights, in float64."""

import contextlib
import copy
from unittest import mock

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.necks.dyhead import DyHead as MMDetDyHead

from swin_mmdet.necks import DyHead
from tests.numerics import assert_model_no_worse_than_eager

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
CHANNELS = 32  # of 16 groups


def neck(blocks=2, in_channels=16):
    torch.manual_seed(0)
    made = DyHead(in_channels, CHANNELS, num_blocks=blocks, zero_init_offset=False).to(DEVICE)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in made.named_parameters():
            # offsets of a pixel or two, and everything else as large as what it multiplies
            scale = 0.1 if 'spatial_conv_offset' in name else parameter[0].numel() ** -0.5
            parameter.copy_(torch.randn(parameter.shape, generator=generator) * scale + ('norm.weight' in name))
    return made


def pyramid(batch=2, levels=3, size=(9, 14), channels=16):
    generator = torch.Generator().manual_seed(2)
    maps = []
    for _ in range(levels):
        maps.append(torch.randn(batch, channels, *size, generator=generator).to(DEVICE).requires_grad_())
        size = tuple((side + 1) // 2 for side in size)
    return maps


def run(module, maps, dtype):
    maps = [x.detach().to(dtype).requires_grad_() for x in maps]
    module = copy.deepcopy(module).to(dtype)
    outs = module(tuple(maps))
    loss = sum((out * torch.linspace(-1, 1, out.numel(), device=DEVICE).view(out.shape).cos()).sum() for out in outs)
    wanted = [*maps, *module.parameters()]
    # with one level two kinds of convolutions are of no use
    gradients = torch.autograd.grad(loss, wanted, materialize_grads=True)
    return [out.detach() for out in outs], list(gradients)


def as_mmdet(module, in_channels=16):
    other = MMDetDyHead(in_channels, CHANNELS, num_blocks=len(module.dyhead_blocks), zero_init_offset=False)
    other.load_state_dict(module.state_dict())
    return other.to(DEVICE)


@pytest.mark.parametrize(
    ('batch', 'levels', 'size'), [(2, 3, (9, 14)), (1, 5, (16, 17)), (3, 2, (2, 1)), (2, 1, (4, 5))], ids=str
)
def test_maps_and_gradients_are_mmdets(batch, levels, size):
    module, maps = neck(), pyramid(batch, levels, size)
    truth, truth_gradients = run(as_mmdet(module), maps, torch.float64)
    found, found_gradients = run(module, maps, torch.float64)
    for one, true in zip(found + found_gradients, truth + truth_gradients, strict=True):
        scale = true.abs().max().clamp(min=1)
        torch.testing.assert_close(one / scale, true / scale, rtol=0, atol=1e-9)


def test_float32_is_as_near_as_mmdets():
    module, maps = neck(), pyramid()
    truth = run(as_mmdet(module), maps, torch.float64)
    eager = run(as_mmdet(module), maps, torch.float32)
    found = run(module, maps, torch.float32)
    assert_model_no_worse_than_eager(*([*outs, *gradients] for outs, gradients in (found, eager, truth)), torch.float32)


@pytest.mark.parametrize('size', [(9, 15), (8, 14)], ids=str)
def test_maps_that_do_not_halve_run_as_in_mmdet(size, caplog):
    """mmdet takes them while sums of levels fit, and fails where they do not."""
    module = neck(1)
    finest, coarser = pyramid(levels=2, size=size)[0], pyramid(levels=1, size=(5, 8))[0]
    maps = [x.detach() for x in (finest, coarser)]
    with mock.patch('swin_mmdet.ops.log._LOGGED', set()), caplog.at_level('INFO'):
        if size == (9, 15):
            assert [x.shape for x in module(maps)] == [(2, CHANNELS, *one) for one in ((9, 15), (5, 8))]
            assert 'as in mmdet' not in caplog.text
        else:
            with pytest.raises(RuntimeError, match='size of tensor'):
                module(maps)
            assert 'DyHead: as in mmdet: a map of [5, 8] follows one of [8, 14]' in caplog.text


@pytest.mark.parametrize('touch', ['hook', 'forward', 'global'])
def test_hooked_modules_are_called(touch):
    module, maps = neck(1), [x.detach() for x in pyramid(levels=2)]
    expected = module(maps)
    norm, calls = module.dyhead_blocks[0].spatial_conv_low.norm, []
    handle = contextlib.nullcontext()
    if touch == 'hook':
        handle = norm.register_forward_hook(lambda *_: calls.append(1))
    elif touch == 'forward':
        norm.forward = lambda x, own=norm.forward: calls.append(1) or own(x)
    else:
        handle = torch.nn.modules.module.register_module_forward_hook(lambda *_: calls.append(1))
    with handle:
        outs = module(maps)
    assert calls
    for one, other in zip(outs, expected, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_inference_gives_the_maps_of_training():
    module, maps = neck(1), [x.detach() for x in pyramid(levels=2)]
    with torch.inference_mode():
        outs = module.eval()(maps)
    for one, other in zip(outs, module.train()(maps), strict=True):
        torch.testing.assert_close(one, other.detach())
