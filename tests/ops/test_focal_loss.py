"""Focal loss against torchvision's of targets for each class."""

import pytest
import torch
from torchvision.ops import sigmoid_focal_loss

from swin_mmdet.ops.focal_loss import focal_loss, focal_loss_of_targets

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'


def case(anchors, classes, dtype=torch.float64, spread=3):
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(anchors, classes, generator=generator, dtype=torch.float64) * spread
    labels = torch.randint(classes + 1, (anchors,), generator=generator)
    weight = torch.rand(anchors, generator=generator) * (torch.rand(anchors, generator=generator) < 0.8)
    return logits.to(DEVICE, dtype).requires_grad_(), labels.to(DEVICE), weight.to(DEVICE)


def expected_loss(logits, labels, weight, gamma, alpha):
    one_hot = torch.nn.functional.one_hot(labels, logits.shape[1] + 1)[:, :-1].to(logits.dtype)
    return (sigmoid_focal_loss(logits, one_hot, alpha, gamma) * weight[:, None]).sum()


@pytest.mark.parametrize(('gamma', 'alpha'), [(2.0, 0.25), (1.5, 0.4), (0.0, 0.5)])
@pytest.mark.parametrize('shape', [(0, 3), (1, 1), (37, 1), (200, 80)], ids=str)
def test_it_is_torchvisions(shape, gamma, alpha):
    logits, labels, weight = case(*shape)
    expected = expected_loss(logits, labels, weight, gamma, alpha)
    (gradient,) = torch.autograd.grad(2 * expected, logits)
    found = focal_loss(logits, labels, weight, gamma, alpha)
    (found_gradient,) = torch.autograd.grad(2 * found, logits)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found_gradient, gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize('dtype', [torch.float32, torch.bfloat16, torch.float16], ids=str)
def test_low_precision_is_of_the_logits_alone(dtype):
    logits, labels, weight = case(300, 80, dtype)
    exact = logits.detach().double().requires_grad_()
    expected = expected_loss(exact, labels, weight, 2.0, 0.25)
    (expected_gradient,) = torch.autograd.grad(expected, exact)
    with torch.autocast(DEVICE, torch.bfloat16):
        found = focal_loss(logits, labels, weight, 2.0, 0.25)
    (gradient,) = torch.autograd.grad(found, logits)
    assert (found.dtype, gradient.dtype) == (torch.float32, dtype)
    torch.testing.assert_close(found.double(), expected, rtol=1e-6, atol=0)
    # a dozen roundings of float32, then one of the result, where it is not too small for the type
    rtol = 16 * torch.finfo(torch.float32).eps + torch.finfo(dtype).eps
    torch.testing.assert_close(gradient.double(), expected_gradient, rtol=rtol, atol=torch.finfo(dtype).tiny)


def test_extreme_logits_are_finite():
    logits = torch.tensor([[-200.0, 200.0], [200.0, -200.0]], device=DEVICE, requires_grad=True)
    labels = torch.tensor([0, 2], device=DEVICE)
    loss = focal_loss(logits, labels, torch.ones(2, device=DEVICE), 2.0, 0.25)
    loss.backward()
    # two wrong backgrounds and a missed object
    assert loss.item() == 200 * (0.75 + 0.75 + 0.25)
    assert logits.grad.tolist() == [[-0.25, 0.75], [0.75, 0.0]]


@pytest.mark.parametrize(('gamma', 'alpha'), [(2.0, 0.25), (1.5, 0.4)])
def test_of_dense_targets_it_is_torchvisions(gamma, alpha):
    logits, _, _ = case(37, 5)
    targets = (logits.detach().sin() > 0).to(logits.dtype)
    expected = sigmoid_focal_loss(logits, targets, alpha, gamma)
    found = focal_loss_of_targets(logits, targets, gamma, alpha)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
