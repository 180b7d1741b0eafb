"""Masks by predicted weights against one convolution after the other, instance by instance."""

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.reppoints_v2.mask_head import CondConvMaskHead

from .heads import pyramid

LEVELS = torch.tensor([0, 2, 4])
IMAGES = torch.tensor([1, 0, 1])
CENTERS = torch.tensor([[3.0, 70.0], [40.5, 12.0], [-5.0, 200.0]])


def layer_by_layer(shared: Tensor, numbers: Tensor, center: Tensor, size_of_interest: float) -> list[Tensor]:
    """Masks [H, W] of one instance from features [8, H, W] at stride 8; `numbers` are 189 in the official order."""
    height, width = shared.shape[1:]
    x = ((torch.arange(width) * 8 + 4) - center[0]).expand(height, width) / -size_of_interest
    y = ((torch.arange(height) * 8 + 4) - center[1])[:, None].expand(height, width) / -size_of_interest
    inputs = torch.cat([x[None], y[None], shared])[None]
    # weights of three layers of 8, 8 and 1 channels, their biases, and the same of two early masks
    parts = numbers.split([80, 64, 8, 8, 8, 1, 10, 8, 1, 1])
    hidden = F.conv2d(inputs, parts[0].view(8, 10, 1, 1), parts[3]).relu()
    early = (
        F.conv2d(inputs, parts[6].view(1, 10, 1, 1), parts[8]), F.conv2d(hidden, parts[7].view(1, 8, 1, 1), parts[9])
    )
    hidden = F.conv2d(hidden, parts[1].view(8, 8, 1, 1), parts[4]).relu()
    return [one[0, 0] for one in (*early, F.conv2d(hidden, parts[2].view(1, 8, 1, 1), parts[5]))]


def test_three_layers_of_weights_of_their_own():
    torch.manual_seed(0)
    head = CondConvMaskHead(in_channels=64, channels=16, num_convs=1).train()
    assert head.num_params == 189
    controls, shared = torch.randn(3, 189), torch.randn(2, 8, 10, 13)
    outs = head.head(shared[IMAGES], controls, CENTERS, LEVELS, 8)
    for index in range(3):
        size = [64, 128, 256, 512, 1024][LEVELS[index]]
        wanted = layer_by_layer(shared[IMAGES[index]], controls[index], CENTERS[index], size)
        for out, one in zip(outs, wanted, strict=True):
            torch.testing.assert_close(out[index, 0], one, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize('size', [(96, 128), (90, 101)], ids=str)
def test_masks_have_half_the_stride_of_the_first_map(size: tuple[int, int]):
    head = CondConvMaskHead(in_channels=64, channels=16, num_convs=1)
    maps = pyramid(*size)
    height, width = maps[0].shape[2:]
    outs = head(maps, torch.randn(3, 189), CENTERS, LEVELS, IMAGES)
    assert [tuple(out.shape) for out in outs] == [(3, 2 * height, 2 * width)] * 3
    (out,) = head.eval()(maps, torch.randn(3, 189), CENTERS, LEVELS, IMAGES)
    assert out.shape == (3, 2 * height, 2 * width)


def test_shared_features_sum_levels_at_the_same_place():
    """A level that is constant adds the same everywhere; a bright spot of the coarse map stays where it was."""
    head = CondConvMaskHead(in_channels=1, channels=1, num_convs=0, out_channels=1, norm_cfg=None).eval()
    branch = head.branch
    for refine in branch.refine:
        refine.conv.weight.data.zero_()
        refine.conv.weight.data[..., 1, 1] = 1
        refine.bn.weight.data.fill_((1 + refine.bn.eps) ** 0.5)
    branch.tower[0].weight.data.fill_(1)
    branch.tower[0].bias.data.zero_()
    fine, half, quarter = torch.zeros(1, 1, 8, 12), torch.full((1, 1, 4, 6), 3.0), torch.zeros(1, 1, 2, 3)
    quarter[..., 1, 2] = 5
    out = branch([fine, half, quarter])[0, 0].detach()
    assert out.amin().item() == pytest.approx(3)
    assert out.amax().item() == pytest.approx(8)
    row, column = divmod(out.argmax().item(), 12)
    assert (row // 4, column // 4) == (1, 2)
