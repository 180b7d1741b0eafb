"""roi_align and roi_pool against their definitions, forward and gradient."""

import naive_ops
import pytest
import torch

from swin_mmdet.compat.mmcv_ops import roi as ops

SIZE = (2, 3)
SCALE = 0.5


@pytest.fixture
def features() -> torch.Tensor:
    torch.manual_seed(0)
    return torch.randn(2, 2, 6, 7, dtype=torch.float64, requires_grad=True)


@pytest.fixture
def rois() -> torch.Tensor:
    """Inside, across the border, outside, smaller than a pixel."""
    return torch.tensor(
        [[0, 1.3, 2.2, 9.1, 8.7], [1, -3.4, -2.1, 5.3, 14.9], [0, 20.2, 1.1, 23.8, 9.3], [1, 4.1, 4.3, 4.4, 4.9]],
        dtype=torch.float64,
    )


def run_roi_align(features, rois, ratio, pool_mode, aligned, grad=None):
    settings = (*SIZE, SCALE, ratio, 0 if pool_mode == 'max' else 1, aligned)
    shape = (len(rois), features.shape[1], *SIZE)
    output = features.new_zeros(shape)
    argmax_y, argmax_x = (features.new_zeros(shape if pool_mode == 'max' else 0) for _ in range(2))
    ops.roi_align_forward(features.detach(), rois, output, argmax_y, argmax_x, *settings)
    if grad is None:
        return output
    grad_input = torch.zeros_like(features)
    ops.roi_align_backward(grad, rois, argmax_y, argmax_x, grad_input, *settings)
    return output, grad_input


@pytest.mark.parametrize('aligned', [True, False])
@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('pool_mode', ['avg', 'max'])
def test_roi_align_and_its_gradient_follow_the_definition(pool_mode, ratio, aligned, features, rois):
    expected = naive_ops.roi_align(features, rois, SIZE, SCALE, ratio, pool_mode, aligned)
    grad = torch.randn_like(expected)
    output, grad_input = run_roi_align(features, rois, ratio, pool_mode, aligned, grad.contiguous())
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(grad_input, torch.autograd.grad(expected, features, grad)[0])


@pytest.mark.parametrize('pool_mode', ['avg', 'max'])
@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_roi_align_in_half_precision_rounds_once(dtype, pool_mode, features, rois):
    features, rois = features.detach().to(dtype), rois.to(dtype)
    expected = naive_ops.roi_align(features.double(), rois.double(), SIZE, SCALE, 2, pool_mode, True)
    grad = torch.ones(expected.shape, dtype=dtype)
    output, grad_input = run_roi_align(features, rois, 2, pool_mode, True, grad)
    torch.testing.assert_close(output, expected.to(dtype))
    assert grad_input.dtype == dtype


@pytest.mark.parametrize('ratio', [0, 2])
@pytest.mark.parametrize('pool_mode', ['avg', 'max'])
def test_roi_align_of_no_rois_is_empty(pool_mode, ratio, features):
    grad = features.new_zeros(0, 2, *SIZE)
    output, grad_input = run_roi_align(features, features.new_zeros(0, 5), ratio, pool_mode, True, grad)
    assert output.shape == (0, 2, *SIZE)
    assert not grad_input.any()


def test_roi_align_of_a_roi_without_area_has_no_samples_and_no_gradient(features):
    rois = torch.tensor([[0.0, 3, 3, 3, 3]], dtype=torch.float64)
    output, grad_input = run_roi_align(features, rois, 0, 'avg', True, features.new_ones(1, 2, *SIZE))
    assert not output.any()
    assert not grad_input.any()
    _, grad_input = run_roi_align(features, rois, 0, 'max', True, features.new_ones(1, 2, *SIZE))
    assert not grad_input.any()


def run_roi_pool(features, rois, grad=None):
    output = features.new_zeros(len(rois), features.shape[1], *SIZE)
    argmax = torch.zeros_like(output, dtype=torch.int)
    ops.roi_pool_forward(features.detach(), rois, output, argmax, *SIZE, SCALE)
    if grad is None:
        return output, argmax
    grad_input = torch.zeros_like(features)
    ops.roi_pool_backward(grad, rois, argmax, grad_input, *SIZE, SCALE)
    return output, grad_input


def test_roi_pool_and_its_gradient_follow_the_definition(features, rois):
    expected = naive_ops.roi_pool(features, rois, SIZE, SCALE)
    grad = torch.randn_like(expected)
    output, grad_input = run_roi_pool(features, rois, grad.contiguous())
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(grad_input, torch.autograd.grad(expected, features, grad)[0])


def test_roi_pool_argmax_is_the_place_in_the_map_and_minus_one_if_the_bin_is_empty(features, rois):
    output, argmax = run_roi_pool(features, rois)
    flat = features.detach().flatten(2)
    for k, image in enumerate(rois[:, 0].long()):
        for c in range(2):
            places = argmax[k, c].flatten().long()
            found = torch.where(places >= 0, flat[image, c, places.clamp(min=0)], 0.0)
            assert torch.equal(found, output[k, c].flatten())
    assert (argmax[2] == -1).any()


def test_roi_pool_leaves_a_roi_without_area_as_it_was(features):
    rois = torch.tensor([[0.0, 5, 5, 3, 9]], dtype=torch.float64)
    output, argmax = run_roi_pool(features, rois)
    assert not output.any()
    assert not argmax.any()


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_roi_pool_in_half_precision_is_exact(dtype, features, rois):
    features, rois = features.detach().to(dtype), rois.to(dtype)
    output, _ = run_roi_pool(features, rois)
    assert torch.equal(output, naive_ops.roi_pool(features, rois.float(), SIZE, SCALE))


def test_roi_pool_of_no_rois_is_empty(features):
    output, grad_input = run_roi_pool(features, features.new_zeros(0, 5), features.new_zeros(0, 2, *SIZE))
    assert output.shape == (0, 2, *SIZE)
    assert not grad_input.any()
