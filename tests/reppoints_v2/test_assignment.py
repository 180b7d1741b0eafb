"""Assignment against mmdet's assigners, and cases worked by hand."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.task_modules.assigners import PointAssigner
from mmengine.structures import InstanceData
from torch import Tensor

from swin_mmdet.reppoints_v2.assignment import assign_centers, claim_nearest

STRIDES = (8, 16, 32, 64)


def grid(height: int, width: int) -> tuple[Tensor, Tensor, list[int]]:
    """Points and strides of all levels of an image, and how many each level has."""
    points, strides, counts = [], [], []
    for stride in STRIDES:
        y, x = torch.meshgrid(torch.arange(0, height, stride), torch.arange(0, width, stride), indexing='ij')
        points.append(torch.stack([x.flatten(), y.flatten()], dim=1).float())
        strides.append(torch.full((x.numel(),), float(stride)))
        counts.append(x.numel())
    return torch.cat(points), torch.cat(strides), counts


def random_boxes(count: int, height: int, width: int) -> Tensor:
    corners = torch.rand(count, 2, 2) * torch.tensor([width, height])
    return torch.cat([corners.amin(1), corners.amax(1)], dim=1)


def test_a_contested_point_goes_to_the_nearest_object():
    distances = torch.tensor([[1.0, 0.5, 9.0], [3.0, 4.0, 2.0], [torch.inf, 0.6, torch.inf]])
    assert claim_nearest(distances).tolist() == [1, 2, -1]


def test_no_object_and_no_allowed_point_claim_nothing():
    assert claim_nearest(torch.zeros(3, 0)).tolist() == [-1, -1, -1]
    assert claim_nearest(torch.zeros(0, 2)).tolist() == []
    assert claim_nearest(torch.full((2, 1), torch.inf)).tolist() == [-1, -1]


@pytest.mark.parametrize('count', [0, 1, 30])
@pytest.mark.parametrize('size', [(160, 224), (97, 131)], ids=str)
def test_centers_equal_mmdets_point_assigner(count: int, size: tuple[int, int]):
    torch.manual_seed(count)
    points, strides, _ = grid(*size)
    boxes = random_boxes(count, *size)
    theirs = PointAssigner(scale=4, pos_num=1).assign(
        InstanceData(priors=torch.cat([points, strides[:, None]], dim=1)),
        InstanceData(bboxes=boxes, labels=torch.zeros(count).long()),
    )
    ours = assign_centers(points, strides, boxes, (boxes[:, :2] + boxes[:, 2:]) / 2, scale=4)
    assert torch.equal(ours, theirs.gt_inds - 1)
    assert (ours >= 0).any() == (count > 0)


def test_an_object_is_looked_for_around_the_center_given():
    points, strides, _ = grid(64, 64)
    box = torch.tensor([[0.0, 0.0, 40.0, 40.0]])
    (index,) = (assign_centers(points, strides, box, torch.tensor([[41.0, 22.0]]), scale=4) == 0).nonzero().flatten()
    assert (points[index].tolist(), strides[index]) == ([40.0, 24.0], 8)
