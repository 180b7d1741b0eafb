"""Quality focal loss against mmdet's."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.losses import QualityFocalLoss

from swin_mmdet.ops.quality_focal_loss import quality_focal_loss


@pytest.mark.parametrize('beta', [2.0, 1.5])
@pytest.mark.parametrize('count', [0, 1, 40])
def test_it_is_mmdets_with_its_gradient(count, beta):
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
