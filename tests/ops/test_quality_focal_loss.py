"""Quality focal loss against mmdet's."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.losses import QualityFocalLoss

from swin_mmdet.ops.quality_focal_loss import quality_focal_loss


@pytest.mark.parametrize('at_once', [2**22, 35], ids=['at once', 'some at a time'])
@pytest.mark.parametrize('beta', [2.0, 1.5])
@pytest.mark.parametrize('count', [0, 1, 40])
def test_it_is_mmdets_with_its_gradient(count, beta, at_once, monkeypatch):
    monkeypatch.setitem(quality_focal_loss.__globals__, 'AT_ONCE', at_once)
    generator = torch.Generator().manual_seed(0)
    logits = (torch.randn(2, count, 5, generator=generator, dtype=torch.float64) * 3).requires_grad_()
    labels = torch.randint(6, (2, count), generator=generator)
    quality = torch.rand(2, count, generator=generator, dtype=torch.float64) * (labels < 5)
    theirs = QualityFocalLoss(beta=beta, reduction='sum')
    expected = torch.stack([theirs(*one) for one in zip(logits, zip(labels, quality, strict=True), strict=True)])
    found = quality_focal_loss(logits, labels, quality, beta)
    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-12)
    gradients = [torch.autograd.grad((x * torch.tensor([1.0, 3.0])).sum(), logits)[0] for x in (found, expected)]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-12)


def test_weights_and_what_is_kept_for_the_gradient():
    """Each prediction counts as often as its weight says; nothing in float32 is kept of logits in low precision."""
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(7, 5, generator=generator).bfloat16().requires_grad_()
    labels, quality = torch.randint(6, (7,), generator=generator), torch.rand(7, generator=generator)
    weight, kept = torch.randint(3, (7,), generator=generator).float(), []
    with torch.autograd.graph.saved_tensors_hooks(lambda one: (kept.append(one), one)[1], lambda one: one):
        loss = quality_focal_loss(logits, labels, quality, 2.0, weight)
    assert [one.dtype for one in kept if one.shape == logits.shape] == [torch.bfloat16]
    wide = logits.detach().float().requires_grad_()
    expected = QualityFocalLoss(reduction='none')(wide, (labels, quality * (labels < 5)))
    assert loss.item() == pytest.approx((expected * weight).sum().item(), rel=1e-6)
    (gradient,), (other,) = torch.autograd.grad(loss, logits), torch.autograd.grad((expected * weight).sum(), wide)
    assert gradient.dtype == torch.bfloat16
    torch.testing.assert_close(gradient.float(), other, rtol=1e-2, atol=1e-4)
