"""Deformable convolution, plain and modulated, against its definition, forward and gradients."""

import naive_ops
import pytest
import torch

from swin_mmdet.compat.mmcv_ops import deform as ops

# stride, padding, dilation, groups, deform_groups
GEOMETRIES = [
    ((1, 1), (1, 1), (1, 1), 1, 1),
    ((2, 1), (1, 0), (1, 2), 2, 1),
    ((1, 2), (0, 2), (2, 1), 2, 2),
    ((1, 1), (1, 1), (1, 1), 4, 4),
]


def out_size(geometry: tuple) -> tuple[int, int]:
    stride, padding, dilation = geometry[:3]
    return tuple((size + 2 * padding[a] - dilation[a] * 2 - 1) // stride[a] + 1 for a, size in enumerate((6, 7)))


def inputs(geometry: tuple, dtype: torch.dtype = torch.float64, offset_scale: float = 1.5) -> dict[str, torch.Tensor]:
    torch.manual_seed(0)
    groups, deform_groups = geometry[3:]
    size = out_size(geometry)
    tensors = {
        'x': torch.randn(2, 4, 6, 7),
        'offset': offset_scale * torch.randn(2, deform_groups * 18, *size),
        'weight': torch.randn(8, 4 // groups, 3, 3),
        'mask': torch.rand(2, deform_groups * 9, *size),
        'bias': torch.randn(8),
    }
    return {name: tensor.to(dtype).requires_grad_() for name, tensor in tensors.items()}


def run_deform_conv(x, offset, weight, geometry, grad):
    stride, padding, dilation, groups, deform_groups = geometry
    x, offset, weight = x.detach(), offset.detach(), weight.detach()
    settings = dict(
        kW=3, kH=3, dW=stride[1], dH=stride[0], padW=padding[1], padH=padding[0], dilationW=dilation[1],
        dilationH=dilation[0], group=groups, deformable_group=deform_groups, im2col_step=2,
    )
    output, scratch = torch.empty_like(grad), x.new_empty(0)
    ops.deform_conv_forward(x, weight, offset, output, scratch, scratch, **settings)
    grads = [torch.zeros_like(tensor) for tensor in (x, offset, weight)]
    ops.deform_conv_backward_input(x, offset, grad, grads[0], grads[1], weight, scratch, **settings)
    ops.deform_conv_backward_parameters(x, offset, grad, grads[2], scratch, scratch, scale=1, **settings)
    return output, grads


def run_modulated(x, offset, weight, mask, bias, geometry, grad, with_bias=True):
    stride, padding, dilation, groups, deform_groups = geometry
    x, offset, weight, mask, bias = (tensor.detach() for tensor in (x, offset, weight, mask, bias))
    settings = dict(
        kernel_h=3, kernel_w=3, stride_h=stride[0], stride_w=stride[1], pad_h=padding[0], pad_w=padding[1],
        dilation_h=dilation[0], dilation_w=dilation[1], group=groups, deformable_group=deform_groups,
        with_bias=with_bias,
    )
    bias = bias if with_bias else bias.new_empty(0)
    output, scratch = torch.empty_like(grad), x.new_empty(0)
    ops.modulated_deform_conv_forward(x, weight, bias, scratch, offset, mask, output, scratch, **settings)
    grads = [torch.zeros_like(tensor) for tensor in (x, weight, bias, offset, mask)]
    ops.modulated_deform_conv_backward(x, weight, bias, scratch, offset, mask, scratch, *grads, grad, **settings)
    return output, grads


@pytest.mark.parametrize('geometry', GEOMETRIES, ids=str)
def test_deform_conv_and_its_gradients_follow_the_definition(geometry):
    tensors = inputs(geometry)
    x, offset, weight = tensors['x'], tensors['offset'], tensors['weight']
    expected = naive_ops.deform_conv(x, offset, weight, *geometry)
    grad = torch.randn_like(expected).contiguous()
    output, grads = run_deform_conv(x, offset, weight, geometry, grad)
    torch.testing.assert_close(output, expected.contiguous())
    for ours, theirs in zip(grads, torch.autograd.grad(expected, (x, offset, weight), grad)):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('with_bias', [True, False])
@pytest.mark.parametrize('geometry', GEOMETRIES, ids=str)
def test_modulated_deform_conv_and_its_gradients_follow_the_definition(geometry, with_bias):
    tensors = inputs(geometry)
    x, offset, weight, mask, bias = tensors.values()
    expected = naive_ops.deform_conv(x, offset, weight, *geometry, mask, bias if with_bias else None)
    grad = torch.randn_like(expected).contiguous()
    output, grads = run_modulated(**tensors, geometry=geometry, grad=grad, with_bias=with_bias)
    torch.testing.assert_close(output, expected.contiguous())
    wanted = torch.autograd.grad(expected, (x, weight, bias, offset, mask), grad, allow_unused=True)
    for ours, theirs in zip(grads, wanted):
        if ours.numel():
            torch.testing.assert_close(ours, theirs)


def test_offsets_on_the_row_outside_the_map_get_no_gradient():
    """As they start: offsets 0 with padding 1 put every border sample on row or column -1."""
    geometry = GEOMETRIES[0]
    tensors = inputs(geometry, offset_scale=0)
    x, offset, weight = tensors['x'], tensors['offset'], tensors['weight']
    expected = naive_ops.deform_conv(x, offset, weight, *geometry)
    _, grads = run_deform_conv(x, offset, weight, geometry, torch.ones_like(expected).contiguous())
    torch.testing.assert_close(grads[1], torch.autograd.grad(expected.sum(), offset)[0])
    assert not grads[1][:, 0, 0].any()


def test_offsets_larger_than_the_output_are_read_in_memory_order():
    """DyHead passes the offsets of a finer level; the rest of them gets no gradient."""
    geometry = GEOMETRIES[0]
    tensors = inputs(geometry)
    tensors['offset'] = torch.randn(2, 18, 12, 9, dtype=torch.float64, requires_grad=True)
    tensors['mask'] = torch.rand(2, 9, 12, 9, dtype=torch.float64, requires_grad=True)
    x, offset, weight, mask, bias = tensors.values()
    expected = naive_ops.deform_conv(x, offset, weight, *geometry, mask, bias)
    grad = torch.randn_like(expected).contiguous()
    output, grads = run_modulated(**tensors, geometry=geometry, grad=grad)
    torch.testing.assert_close(output, expected.contiguous())
    for ours, theirs in zip(grads, torch.autograd.grad(expected, (x, weight, bias, offset, mask), grad)):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_half_precision_rounds_once(dtype):
    geometry = GEOMETRIES[0]
    tensors = inputs(geometry, dtype)
    x, offset, weight, mask, bias = (tensor.detach().double() for tensor in tensors.values())
    expected = naive_ops.deform_conv(x, offset, weight, *geometry, mask, bias)
    output, grads = run_modulated(**tensors, geometry=geometry, grad=torch.ones(expected.shape, dtype=dtype))
    torch.testing.assert_close(output, expected.to(dtype), check_stride=False)
    assert all(grad.dtype == dtype and grad.isfinite().all() for grad in grads)


def test_gradients_add_to_what_the_weight_gradient_holds():
    geometry = GEOMETRIES[0]
    tensors = inputs(geometry)
    x, offset, weight = (tensors[name].detach() for name in ('x', 'offset', 'weight'))
    grad, scratch = torch.ones(2, 8, 6, 7, dtype=torch.float64), x.new_empty(0)
    settings = dict(
        kW=3, kH=3, dW=1, dH=1, padW=1, padH=1, dilationW=1, dilationH=1, group=1, deformable_group=1, im2col_step=1
    )
    once, twice = torch.zeros_like(weight), torch.zeros_like(weight)
    ops.deform_conv_backward_parameters(x, offset, grad, once, scratch, scratch, scale=1, **settings)
    for scale in (0.5, 1.5):
        ops.deform_conv_backward_parameters(x, offset, grad, twice, scratch, scratch, scale=scale, **settings)
    torch.testing.assert_close(twice, 2 * once)
