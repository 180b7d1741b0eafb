"""Losses against their formulas, term by term, and cases worked by hand."""

import math

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.reppoints_v2.losses import RPDGIoULoss, SEPFocalLoss


@pytest.mark.parametrize('positives', [0, 1, 20])
def test_equals_a_loop_over_pixels(positives: int):
    torch.manual_seed(positives)
    pred, weight = torch.randn(60).double() * 3, torch.zeros(60).double()
    weight[torch.randperm(60)[:positives]] = torch.rand(positives).double() + 0.1
    target = (weight > 0).double()
    loss = SEPFocalLoss(gamma=2.0, alpha=0.25, loss_weight=0.1)(pred, target, weight, avg_factor=7.0)
    inside = outside = total = 0.0
    for x, w in zip(pred.tolist(), weight.tolist()):
        p = 1 / (1 + math.exp(-x))
        if w:
            inside += w * (1 - p) ** 2 * -math.log(p)
            total += w
        else:
            outside += p**2 * -math.log(1 - p)
    wanted = 0.1 * (0.25 * (inside / total if total else 0) + 0.75 * outside / 7)
    assert loss.item() == pytest.approx(wanted, rel=1e-12)


def test_gradients():
    torch.manual_seed(0)
    pred = torch.randn(12, dtype=torch.double, requires_grad=True)
    target = torch.tensor([1.0, 0.0] * 6).double()
    loss = SEPFocalLoss()
    assert torch.autograd.gradcheck(lambda pred: loss(pred, target, target * 0.3, 5.0), (pred,))


def test_far_logits_stay_finite():
    pred = torch.tensor([-200.0, 200.0], requires_grad=True)
    loss = SEPFocalLoss()(pred, torch.tensor([1.0, 0.0]), torch.tensor([1.0, 0.0]), 1.0)
    loss.backward()
    assert loss.item() == pytest.approx(0.25 * 200 + 0.75 * 200)
    assert pred.grad.isfinite().all()


def test_giou_of_boxes_one_unit_wider_and_higher():
    pred = torch.tensor([[0.0, 0, 2, 2], [1, 1, 1, 1], [0, 0, 0, 0]])
    target = torch.tensor([[1.0, 1, 3, 3], [1, 1, 1, 1], [3, 0, 3, 0]])
    # 3x3 and 3x3 share 2x2 in 4x4; equal unit squares; unit squares with two between them
    wanted = 1 - torch.tensor([4 / 14 - 2 / 16, 1, -2 / 4])
    loss = RPDGIoULoss(loss_weight=2.0)
    torch.testing.assert_close(loss(pred, target, reduction_override='none'), 2 * wanted)


def test_a_box_without_area_is_pulled_to_its_object():
    pred = torch.full((1, 4), 2.0, requires_grad=True)
    RPDGIoULoss()(pred, torch.tensor([[0.0, 0, 4, 4]])).backward()
    assert (pred.grad[0, :2] > 0).all()  # to the left and up
    assert (pred.grad[0, 2:] < 0).all()
