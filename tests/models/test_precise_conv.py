"""A convolution in float32 of what autocast made smaller: results, gradients, and what is kept for them."""

import pytest
import torch

from swin_mmdet.models.precise_conv import PreciseConv2d


@pytest.mark.parametrize('bias', [True, False])
@pytest.mark.parametrize('frozen', [True, False])
def test_it_is_a_float32_convolution_of_the_same_numbers(bias, frozen):
    torch.manual_seed(0)
    precise = PreciseConv2d(4, 6, 3, stride=2, padding=1, groups=2, bias=bias)
    precise.weight.requires_grad_(not frozen)
    x = torch.randn(2, 4, 9, 7).bfloat16().requires_grad_()
    kept = []
    with (
        torch.autocast('cpu', torch.bfloat16),
        torch.autograd.graph.saved_tensors_hooks(lambda one: (kept.append(one), one)[1], lambda one: one),
    ):
        found = precise(x)
    expected = precise._conv_forward(x.float(), precise.weight, precise.bias)
    assert found.dtype == torch.float32
    assert torch.equal(found, expected)
    assert {one.dtype for one in kept if one.shape == x.shape} == {torch.bfloat16}
    leaves = [x, *(one for one in precise.parameters() if one.requires_grad)]
    grad = torch.randn(found.shape)
    for one, other in zip(*(torch.autograd.grad(y, leaves, grad) for y in (found, expected)), strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other)
