"""Deformable attention, focal losses, masked convolution and CARAFE against their definitions, forward and gradient."""

import naive_ops
import pytest
import torch
import torch.nn.functional as F

from swin_mmdet.compat.mmcv_ops import attention, carafe, focal, masked_conv

HALVES = [torch.float16, torch.bfloat16]
SHAPES = [(4, 5), (2, 3)]


def attention_inputs(dtype: torch.dtype = torch.float64) -> list[torch.Tensor]:
    torch.manual_seed(0)
    value, locations = torch.randn(2, 26, 2, 3), 1.4 * torch.rand(2, 3, 2, 2, 2, 2) - 0.2
    return [tensor.to(dtype).requires_grad_() for tensor in (value, locations, torch.rand(2, 3, 2, 2, 2))]


def run_attention(value, locations, weights, grad):
    inputs = (value.detach(), torch.tensor(SHAPES), torch.tensor([0, 20]), locations.detach(), weights.detach())
    output = attention.ms_deform_attn_forward(*inputs, im2col_step=64)
    grads = [torch.zeros_like(tensor) for tensor in (value, locations, weights)]
    attention.ms_deform_attn_backward(*inputs, grad, *grads, im2col_step=64)
    return output, grads


def test_ms_deform_attn_and_its_gradients_follow_the_definition():
    inputs = attention_inputs()
    expected = naive_ops.ms_deform_attn(inputs[0], SHAPES, *inputs[1:])
    grad = torch.randn_like(expected)
    output, grads = run_attention(*inputs, grad)
    torch.testing.assert_close(output, expected)
    for ours, theirs in zip(grads, torch.autograd.grad(expected, inputs, grad)):
        torch.testing.assert_close(ours, theirs)


@pytest.mark.parametrize('dtype', HALVES, ids=str)
def test_ms_deform_attn_in_half_precision_rounds_once(dtype):
    inputs = attention_inputs(dtype)
    wide = [tensor.detach().double() for tensor in inputs]
    expected = naive_ops.ms_deform_attn(wide[0], SHAPES, *wide[1:])
    output, grads = run_attention(*inputs, torch.ones_like(expected, dtype=dtype))
    torch.testing.assert_close(output, expected.to(dtype))
    assert all(grad.dtype == dtype and grad.isfinite().all() for grad in grads)


def test_ms_deform_attn_of_no_queries_is_empty():
    value, locations, weights = attention_inputs()
    output, grads = run_attention(value, locations[:, :0], weights[:, :0], value.new_zeros(2, 0, 6))
    assert output.shape == (2, 0, 6)
    assert not grads[0].any()


def sigmoid_focal(logits, target, weight, gamma, alpha):
    one_hot = F.one_hot(target, logits.shape[1] + 1)[:, :-1]
    p = logits.sigmoid()
    loss = torch.where(one_hot == 1, -alpha * (1 - p)**gamma * p.log(), -(1 - alpha) * p**gamma * (1 - p).log())
    return loss if weight is None else loss * torch.cat((weight, weight.new_ones(1)))[target][:, None]


def softmax_focal(logits, target, weight, gamma, alpha):
    p = logits.softmax(1)[torch.arange(len(target)), target]
    loss = -alpha * (1 - p)**gamma * p.log()
    return loss if weight is None else loss * weight[target]


@pytest.mark.parametrize('kind', ['sigmoid', 'softmax'])
@pytest.mark.parametrize('weighted', [False, True])
@pytest.mark.parametrize('gamma', [1.0, 2.0, 2.5])
def test_focal_loss_and_its_gradient_follow_the_definition(gamma, weighted, kind):
    torch.manual_seed(0)
    logits = 3 * torch.randn(20, 5, dtype=torch.float64, requires_grad=True)
    logits.retain_grad()
    target = torch.arange(20) % (6 if kind == 'sigmoid' else 5)
    weight = torch.rand(5, dtype=torch.float64) if weighted else None
    definition = sigmoid_focal if kind == 'sigmoid' else softmax_focal
    expected = definition(logits, target, weight, gamma, 0.3)

    scores = logits.detach() if kind == 'sigmoid' else logits.detach().softmax(1)
    weight = scores.new_empty(0) if weight is None else weight
    output, grad = torch.zeros_like(expected), torch.zeros_like(scores)
    buffers = [] if kind == 'sigmoid' else [scores.new_zeros(20)]
    getattr(focal, f'{kind}_focal_loss_forward')(scores, target, weight, output, gamma, 0.3)
    getattr(focal, f'{kind}_focal_loss_backward')(scores, target, weight, *buffers, grad, gamma, 0.3)
    torch.testing.assert_close(output, expected)
    torch.testing.assert_close(grad, torch.autograd.grad(expected.sum(), logits)[0])


@pytest.mark.parametrize('dtype', [torch.float32, *HALVES], ids=str)
def test_sigmoid_focal_loss_of_extreme_logits_is_finite(dtype):
    logits = torch.tensor([[100.0, -100.0, 20.0, -20.0]]).to(dtype)
    for target in (0, 1, 4):
        output, grad = torch.zeros_like(logits), torch.zeros_like(logits)
        arguments = logits, torch.tensor([target]), logits.new_empty(0)
        focal.sigmoid_focal_loss_forward(*arguments, output, 2.0, 0.25)
        focal.sigmoid_focal_loss_backward(*arguments, grad, 2.0, 0.25)
        assert output.isfinite().all()
        assert grad.isfinite().all()


def test_softmax_focal_loss_ignores_negative_targets():
    scores, target = torch.full((2, 3), 1 / 3), torch.tensor([-1, 1])
    output, grad = torch.zeros(2), torch.zeros(2, 3)
    focal.softmax_focal_loss_forward(scores, target, torch.empty(0), output, 2.0, 0.25)
    focal.softmax_focal_loss_backward(scores, target, torch.empty(0), torch.zeros(2), grad, 2.0, 0.25)
    assert output[0] == 0 < output[1]
    assert not grad[0].any()


def test_focal_loss_refuses_a_target_that_is_no_class():
    scores, no_weight = torch.zeros(1, 3), torch.empty(0)
    with pytest.raises(ValueError, match='target must be at most 3, got 4'):
        focal.sigmoid_focal_loss_forward(scores, torch.tensor([4]), no_weight, torch.zeros(1, 3), 2.0, 0.25)
    with pytest.raises(ValueError, match='target must be at most 2, got 3'):
        focal.softmax_focal_loss_forward(scores, torch.tensor([3]), no_weight, torch.zeros(1), 2.0, 0.25)


@pytest.mark.parametrize('kind', ['sigmoid', 'softmax'])
def test_focal_loss_of_no_rows_is_empty(kind):
    empty, target = torch.zeros(0, 3), torch.zeros(0, dtype=torch.long)
    getattr(focal, f'{kind}_focal_loss_forward')(
        empty, target, torch.empty(0), torch.zeros(0, 3) if kind == 'sigmoid' else torch.zeros(0), 2.0, 0.25
    )


@pytest.mark.parametrize('padding', [(0, 0), (1, 1), (2, 1)], ids=str)
def test_masked_convolution_equals_a_convolution_at_the_chosen_pixels(padding):
    torch.manual_seed(0)
    image, weight = torch.randn(1, 3, 6, 7), torch.randn(4, 3, 3, 3)
    dense = F.conv2d(image, weight, padding=padding)
    y, x = (torch.rand(dense.shape[2:]) > 0.5).nonzero(as_tuple=True)
    columns, output = image.new_zeros(27, len(y)), torch.zeros_like(dense)
    masked_conv.masked_im2col_forward(image, y, x, columns, 3, 3, *padding)
    masked_conv.masked_col2im_forward(weight.view(4, -1) @ columns, y, x, output, *dense.shape[2:], 4)
    torch.testing.assert_close(output[0, :, y, x], dense[0, :, y, x])
    assert (output[0, 0] != 0).sum() == len(y)


def carafe_inputs(dtype: torch.dtype) -> list[torch.Tensor]:
    torch.manual_seed(0)
    return [tensor.to(dtype).requires_grad_() for tensor in (torch.randn(2, 4, 3, 4), torch.rand(2, 18, 6, 8))]


@pytest.mark.parametrize('naive', [False, True])
@pytest.mark.parametrize('dtype', [torch.float64, *HALVES], ids=str)
def test_carafe_and_its_gradients_follow_the_definition(dtype, naive):
    features, masks = carafe_inputs(dtype)
    wide = [tensor.detach().double().requires_grad_() for tensor in (features, masks)]
    expected = naive_ops.carafe(*wide, 3, 2, 2)
    grad = torch.randn_like(expected).to(dtype)
    output, grads = torch.zeros_like(grad), [torch.zeros_like(tensor) for tensor in (features, masks)]
    if naive:
        carafe.carafe_naive_forward(features.detach(), masks.detach(), output, 3, 2, 2)
        carafe.carafe_naive_backward(grad, features.detach(), masks.detach(), *grads, 3, 2, 2)
    else:
        kept, unused = torch.zeros_like(features), torch.zeros(0)
        carafe.carafe_forward(features.detach(), masks.detach(), kept.detach(), unused, unused, output, 3, 2, 2)
        carafe.carafe_backward(
            grad, kept.detach(), masks.detach(), unused, unused, unused, unused, *grads, 3, 2, 2
        )
    torch.testing.assert_close(output, expected.to(dtype))
    for ours, theirs in zip(grads, torch.autograd.grad(expected, wide, grad.double())):
        torch.testing.assert_close(ours, theirs.to(dtype))
