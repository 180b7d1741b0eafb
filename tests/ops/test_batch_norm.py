"""Statistics of some samples: torch's batch norm of those alone, in float64."""

import pytest
import torch
from torch import nn

from swin_mmdet.ops.batch_norm import StatisticsOf


@pytest.mark.parametrize('shape', [(6, 5), (6, 5, 3, 4)])
@pytest.mark.parametrize('used', [[1, 1, 0, 1, 0, 0], [0, 0, 1, 0, 1, 1], [1] * 6])
def test_is_that_of_the_used_samples(shape, used):
    generator = torch.Generator().manual_seed(0)
    used = torch.tensor(used, dtype=torch.bool)
    cls = nn.BatchNorm1d if len(shape) == 2 else nn.BatchNorm2d
    ours = cls(5).double()
    nn.init.normal_(ours.weight, generator=generator)
    theirs = cls(5).double()
    theirs.load_state_dict(ours.state_dict())
    x = (3 * torch.randn(shape, generator=generator, dtype=torch.float64) + 1).requires_grad_()
    with StatisticsOf(used):
        found = ours(x.float())[used]
    expected = theirs(x[used])
    torch.testing.assert_close(found.double(), expected, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(ours.running_mean, theirs.running_mean, rtol=1e-6, atol=1e-7)
    torch.testing.assert_close(ours.running_var, theirs.running_var, rtol=1e-6, atol=1e-7)
    given = torch.randn(expected.shape, generator=generator, dtype=torch.float64)
    gradient = torch.autograd.grad((found.double() * given).sum(), [x, *ours.parameters()])
    wanted = torch.autograd.grad((expected * given).sum(), [x, *theirs.parameters()])
    for one, other in zip(gradient, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-4, atol=1e-5)


def test_in_evaluation_it_is_torchs():
    norm = nn.BatchNorm2d(3).eval()
    nn.init.normal_(norm.running_mean)
    x = torch.randn(2, 3, 4, 4)
    with StatisticsOf(torch.tensor([True, False])):
        found = norm(x)
    assert torch.equal(found, norm(x))
