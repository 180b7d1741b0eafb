"""Corner pooling against loops over positions."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmcv

# isort: split
from swin_mmdet.reppoints_v2.corner_pool import CornerPool, edge_pool


@pytest.mark.parametrize('shape', [(2, 3, 5, 7), (1, 1, 1, 6), (1, 2, 4, 1)], ids=str)
@pytest.mark.parametrize('dim', [2, 3])
@pytest.mark.parametrize('backward', [False, True])
def test_is_the_largest_value_of_the_rest_of_a_line(shape: tuple[int, ...], dim: int, backward: bool):
    torch.manual_seed(0)
    x = torch.randn(shape)
    wanted = torch.empty_like(x)
    for position in range(shape[dim]):
        first, last = (0, position) if backward else (position, shape[dim] - 1)
        line = [x.select(dim, other) for other in range(first, last + 1)]
        wanted.select(dim, position).copy_(torch.stack(line).amax(0))
    assert torch.equal(edge_pool(x, dim, backward), wanted)


@pytest.mark.parametrize('backward', [False, True])
def test_gradients(backward: bool):
    x = torch.randperm(40).double().view(1, 2, 4, 5).requires_grad_()
    assert torch.autograd.gradcheck(lambda x: edge_pool(x, 2, backward) * edge_pool(x, 3, backward), (x,))


@pytest.mark.parametrize(('backward', 'corner'), [(False, (2, 1)), (True, (6, 5))])
def test_a_corner_sees_both_edges(backward: bool, corner: tuple[int, int]):
    """What changes along the two edges that meet in a corner changes it; what changes elsewhere does not."""
    torch.manual_seed(0)
    pool = CornerPool(32, 8, None, backward).eval()
    # 1x1 and centered: the pooling alone reaches other positions
    for conv in (pool.p1_conv1.conv, pool.p2_conv1.conv, pool.p_conv1):
        middle = torch.zeros_like(conv.weight)
        middle[..., 1, 1] = conv.weight[..., 1, 1].abs()
        conv.weight.data.copy_(middle)
    pool.p_gn1 = pool.gn1 = torch.nn.Identity()
    base = torch.zeros(1, 32, 9, 8)
    y, x = corner

    def changed(row: int, column: int) -> bool:
        moved = base.clone()
        moved[:, :, row, column] = 1
        return not torch.equal(pool(moved)[..., y, x], pool(base)[..., y, x])

    step = -1 if backward else 1
    assert changed(y + 2 * step, x)
    assert changed(y, x + 2 * step)
    assert not changed(y - step, x)
    assert not changed(y, x - step)
    assert not changed(y + step, x + step)
