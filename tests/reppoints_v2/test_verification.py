"""Targets of the verifying maps against loops over pixels and boxes, written from the paper."""

import math

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.utils import gaussian_radius as mmdet_gaussian_radius
from torch import Tensor

from swin_mmdet.reppoints_v2.verification import corner_targets, foreground_targets, gaussian_radius, refine_corners

from .test_assignment import grid, random_boxes


def iou(one: list[float], other: list[float]) -> float:
    width = max(0, min(one[2], other[2]) - max(one[0], other[0]))
    height = max(0, min(one[3], other[3]) - max(one[1], other[1]))
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (one, other)]
    return width * height / (sum(areas) - width * height)


@pytest.mark.parametrize('min_overlap', [0.3, 0.7])
def test_radius_is_where_the_worst_corners_overlap_just_enough(min_overlap: float):
    boxes = torch.tensor([[0, 0, 30, 20], [5, 5, 8, 100], [1, 2, 500, 400]]).double()
    radii = gaussian_radius(boxes, min_overlap).tolist()
    for box, radius in zip(boxes.tolist(), radii):
        assert radius == pytest.approx(mmdet_gaussian_radius((box[3] - box[1], box[2] - box[0]), min_overlap))
        shifts = ((1, 1, 1, 1), (1, 1, -1, -1), (-1, -1, 1, 1))
        overlaps = [iou(box, [side + radius * sign for side, sign in zip(box, signs)]) for signs in shifts]
        assert min(overlaps) == pytest.approx(min_overlap)


def loop_over_corners(
    points: Tensor, strides: Tensor, counts: list[int], boxes: Tensor, min_overlap: float
) -> tuple[Tensor, Tensor]:
    heat = torch.zeros(len(points), 2, dtype=points.dtype)
    offsets = torch.zeros(len(points), 2, 2, dtype=points.dtype)
    nearest_so_far = {}
    for corner in range(2):
        for left, top, right, bottom in boxes.tolist():
            radius = mmdet_gaussian_radius((bottom - top, right - left), min_overlap)
            sigma = (2 * radius + 1) / 6
            x, y = ((left, top), (right, bottom))[corner]
            start = 0
            for count in counts:
                distances = []
                for index in range(start, start + count):
                    px, py = points[index].tolist()
                    distance = math.hypot(px - x, py - y)
                    distances.append(distance)
                    if distance < radius:
                        value = math.exp(-(distance**2) / (2 * sigma**2))
                        heat[index, corner] = max(heat[index, corner].item(), value)
                nearest = min(range(count), key=distances.__getitem__)
                key = corner, start + nearest
                if distances[nearest] < nearest_so_far.get(key, math.inf):
                    nearest_so_far[key] = distances[nearest]
                    px, py = points[start + nearest].tolist()
                    stride = strides[start + nearest].item()
                    offsets[start + nearest, corner] = torch.tensor([(x - px) / stride, (y - py) / stride])
                start += count
    for corner, index in nearest_so_far:
        heat[index, corner] = 1
    return heat, offsets


@pytest.mark.parametrize('count', [0, 1, 8])
def test_corner_targets_equal_a_loop(count: int):
    torch.manual_seed(count)
    points, strides, counts = grid(70, 93)
    points, strides, boxes = points.double(), strides.double(), random_boxes(count, 70, 93).double()
    heat, offsets = corner_targets(points, strides, counts, boxes, 0.7)
    wanted_heat, wanted_offsets = loop_over_corners(points, strides, counts, boxes, 0.7)
    torch.testing.assert_close(heat, wanted_heat, rtol=0, atol=1e-12)
    torch.testing.assert_close(offsets, wanted_offsets, rtol=0, atol=1e-12)


def loop_over_pixels(
    boxes: Tensor, labels: Tensor, num_classes: int, size: tuple[int, int], stride: int
) -> tuple[Tensor, Tensor]:
    target, weight = torch.zeros(num_classes, *size), torch.zeros(num_classes, *size)
    largest_first = sorted(
        zip(boxes.tolist(), labels.tolist()), key=lambda one: -(one[0][2] - one[0][0]) * (one[0][3] - one[0][1])
    )
    for (left, top, right, bottom), label in largest_first:
        for y in range(size[0]):
            for x in range(size[1]):
                if int(left / stride) <= x <= int(right / stride) and int(top / stride) <= y <= int(bottom / stride):
                    target[label, y, x] = 1
                    weight[label, y, x] = 1 / max((right - left) * (bottom - top), 1)
    return target, weight


@pytest.mark.parametrize('count', [0, 1, 12])
def test_foreground_targets_equal_a_loop(count: int):
    torch.manual_seed(count)
    boxes, labels = random_boxes(count, 70, 93), torch.randint(3, (count,))
    target, weight = foreground_targets(boxes, labels, 3, (9, 12), 8)
    wanted, wanted_weight = loop_over_pixels(boxes, labels, 3, (9, 12), 8)
    assert torch.equal(target, wanted)
    torch.testing.assert_close(weight, wanted_weight)


def test_a_box_without_area_weighs_as_one_pixel():
    _, weight = foreground_targets(torch.tensor([[9.0, 9.0, 9.0, 30.0]]), torch.tensor([0]), 1, (4, 4), 8)
    assert weight[0].tolist() == [[0, 0, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0], [0, 1, 0, 0]]


@pytest.mark.parametrize('size', [(7, 9), (1, 5), (6, 1), (1, 1)], ids=str)
def test_corners_move_to_the_hottest_of_the_four_points_around(size: tuple[int, int]):
    torch.manual_seed(0)
    height, width = size
    heat, offsets = torch.randn(size), torch.rand(height, width, 2)
    corners = torch.rand(40, 2) * torch.tensor([width, height]) * 8
    moved = refine_corners(corners, heat, offsets, 8)
    for (x, y), found in zip(corners.tolist(), moved):
        # a window of two points each way stays inside the map
        left, top = (max(min(int(one / 8), side - 2), 0) for one, side in ((x, width), (y, height)))
        around = [(r, c) for r in (top, top + 1) for c in (left, left + 1) if r < height and c < width]
        row, column = max(around, key=lambda place: heat[place].item())
        wanted = (torch.tensor([column, row]) + offsets[row, column]) * 8
        torch.testing.assert_close(found, wanted)


def test_no_corners_stay_none():
    assert refine_corners(torch.zeros(0, 2), torch.zeros(3, 4), torch.zeros(3, 4, 2), 8).shape == (0, 2)
