"""Deformable convolution: each backend against torchvision's in float64, which tests/compat holds to the definition."""

import pytest
import torch
import torchvision

from swin_mmdet.ops.deformable_convolution import deformable_convolution
from swin_mmdet.ops.deformable_convolution.interface import BACKENDS
from tests.numerics import assert_model_no_worse_than_eager

pytest.importorskip('triton')
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
# the interpreter computes with numpy, which has no bfloat16
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (DEVICE == 'cuda')

# channels in and out, kernel, stride, padding, dilation, groups, offset_groups, mask
CASES = [
    (8, 6, (3, 3), (1, 1), (1, 1), (1, 1), 1, 1, True),
    (6, 4, (2, 2), (1, 1), (1, 1), (1, 1), 1, 1, False),
    (12, 4, (3, 1), (2, 1), (0, 2), (1, 2), 2, 3, True),
    (80, 8, (1, 2), (1, 3), (2, 0), (2, 1), 4, 1, True),
]


def leaves(case, dtype=torch.float32, batch=2, size=(3, 5)):
    channels, outs, kernel, stride, padding, dilation, groups, offset_groups, masked = case
    generator = torch.Generator().manual_seed(0)
    height, width = (
        (one + 2 * p - d * (k - 1) - 1) // s + 1
        for one, k, s, p, d in zip(size, kernel, stride, padding, dilation, strict=True)
    )
    taps = kernel[0] * kernel[1] * offset_groups
    shapes = {
        'input': (batch, channels, *size),
        'offset': (batch, 2 * taps, height, width),
        'weight': (outs, channels // groups, *kernel),
        'bias': (outs,),
    } | ({'mask': (batch, taps, height, width)} if masked else {})
    scale = {'offset': 1.5, 'weight': channels**-0.5}
    made = {name: torch.randn(shape, generator=generator) * scale.get(name, 1) for name, shape in shapes.items()}
    # on a pixel's center the gradient of a place is a matter of taste: none is there, nor gets there by rounding
    made['offset'] = (made['offset'] * 8).round() / 8 + 1 / 16
    return {name: x.to(DEVICE, dtype).requires_grad_() for name, x in made.items()}


def settings(case):
    names = 'stride', 'padding', 'dilation', 'groups', 'offset_groups'
    return dict(zip(names, case[3:8], strict=True))


def gradients(out, inputs):
    grad = torch.linspace(-1, 1, out.numel(), device=DEVICE).view(out.shape).cos()
    return [out.detach(), *torch.autograd.grad(out, list(inputs.values()), grad.to(out.dtype))]


def truth_of(inputs, case):
    exact = {name: x.detach().double().requires_grad_() for name, x in inputs.items()}
    out = torchvision.ops.deform_conv2d(**exact, stride=case[3], padding=case[4], dilation=case[5])
    return gradients(out, exact)


@pytest.mark.parametrize('backend', [backend.name for backend in BACKENDS])
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('case', CASES, ids=str)
def test_values_and_gradients_are_torchvisions(case, dtype, backend):
    inputs = leaves(case, dtype)
    truth = truth_of(inputs, case)
    eager = gradients(deformable_convolution(**inputs, **settings(case), backend='torchvision'), inputs)
    found = gradients(deformable_convolution(**inputs, **settings(case), backend=backend), inputs)
    assert {x.dtype for x in found} == {dtype}
    # columns are rounded to half types before their product, and torchvision's way widens all
    assert_model_no_worse_than_eager(found, eager, truth, dtype, factor=2.0 if dtype == torch.float32 else 4.0)


@pytest.mark.parametrize('backend', [backend.name for backend in BACKENDS])
@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last], ids=str)
def test_either_layout_and_no_image(layout, backend):
    for batch in (0, 1):
        inputs = leaves(CASES[0], batch=batch)
        inputs['input'] = inputs['input'].detach().contiguous(memory_format=layout).requires_grad_()
        found = gradients(deformable_convolution(**inputs, **settings(CASES[0]), backend=backend), inputs)
        for one, true in zip(found, truth_of(inputs, CASES[0]), strict=True):
            torch.testing.assert_close(one.double(), true, rtol=1e-4, atol=1e-5)


def test_a_sample_that_is_nowhere_is_zero():
    inputs = {name: x.detach() for name, x in leaves(CASES[1]).items()}
    inputs['offset'][:, :, 1] = float('nan')
    inputs['offset'][:, :, 2] = -1e9
    inputs['bias'].zero_()
    found = deformable_convolution(**inputs, **settings(CASES[1]), backend='triton')
    assert not found[:, :, 1:3].any()
    assert found[:, :, 0].any()


@pytest.mark.parametrize(
    ('name', 'shape', 'message'),
    [
        ('input', (2, 7, 3, 5), 'input has 7 channels; weight'),
        ('offset', (2, 18, 3, 4), r'offset must be \[2, 18, 3, 5\], got \[2, 18, 3, 4\]'),
        ('mask', (1, 9, 3, 5), r'mask must be \[2, 9, 3, 5\]'),
    ],
)
def test_what_does_not_fit_is_named(name, shape, message):
    inputs = leaves(CASES[0]) | {name: torch.zeros(shape, device=DEVICE)}
    with pytest.raises(ValueError, match=message):
        deformable_convolution(**inputs, **settings(CASES[0]))


@pytest.mark.skipif(DEVICE == 'cpu', reason='takes 20 GB of a GPU')
def test_more_than_two_to_the_31_numbers():
    """Columns of more numbers than 32 bits count: the last image is as it is alone."""
    channels, side = 256, 512
    images = 2**31 // (channels * side * side * 9) + 2
    inputs = leaves((channels, 8, (3, 3), (1, 1), (1, 1), (1, 1), 1, 1, True), torch.bfloat16, images, (side, side))
    alone = {name: x if name in ('weight', 'bias') else x[-1:] for name, x in inputs.items()}
    found, expected = (
        gradients(deformable_convolution(**x, padding=(1, 1), backend='triton'), x) for x in (inputs, alone)
    )
    del expected[3:5]  # gradients of weight and bias are of all images
    torch.testing.assert_close(found[0][-1:], expected[0], rtol=0.02, atol=0.02)
