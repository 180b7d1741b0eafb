"""What the program of RepPoints V2 has in place of operators that ONNX has not."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmcv.ops import DeformConv2d
from torchvision.ops import deform_conv2d

from swin_mmdet.export.points import SampledConv, refined, running_max
from swin_mmdet.reppoints_v2.corner_pool import edge_pool
from swin_mmdet.reppoints_v2.verification import refine_corners


@pytest.mark.parametrize('backward', [False, True])
@pytest.mark.parametrize('dim', [2, 3])
def test_a_maximum_runs_to_the_end_of_a_map(dim, backward):
    x = torch.randn(2, 3, 7, 1 if dim == 2 else 70)
    assert torch.equal(running_max(x, dim, backward), edge_pool(x, dim, backward))
    assert torch.equal(running_max(x.mT, 5 - dim, backward), edge_pool(x.mT, 5 - dim, backward))


def test_samples_are_those_of_a_deformable_convolution():
    conv = DeformConv2d(4, 6, 3, padding=1)
    torch.nn.init.normal_(conv.weight)
    x, offset = torch.randn(2, 4, 5, 7), 3 * torch.randn(2, 18, 5, 7)
    with torch.no_grad():
        expected = deform_conv2d(x, offset, conv.weight, padding=1)
        torch.testing.assert_close(SampledConv(conv)(x, offset), expected, rtol=1e-5, atol=1e-4)


def test_corners_of_a_batch_move_as_those_of_each_image():
    heat, offsets = torch.randn(2, 2, 5, 7), torch.randn(2, 4, 5, 7)
    corners = torch.rand(2, 40, 2) * 80 - 8
    for which in range(2):
        found = refined(corners, which, heat, offsets, 8)
        for image in range(2):
            own = offsets[image].permute(1, 2, 0)[..., 2 * which : 2 * which + 2]
            assert torch.equal(found[image], refine_corners(corners[image], heat[image, which], own, 8))
