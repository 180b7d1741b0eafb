"""nms, softnms, nms_match and bbox_overlaps against their definitions."""

import naive_ops
import pytest
import torch

from swin_mmdet.compat.mmcv_ops import boxes as ops

DTYPES = [torch.float64, torch.float32, torch.float16, torch.bfloat16]


def random_boxes(count: int, dtype: torch.dtype = torch.float32) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(count)
    corners = torch.randint(0, 40, (count, 2, 2)).to(dtype)
    boxes = torch.cat((corners.amin(1), corners.amax(1) + 1), dim=1)
    return boxes, (torch.randperm(count).to(dtype) + 1) / 64


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('threshold', [0.1, 0.5, 0.8])
def test_nms_keeps_what_the_definition_keeps(threshold, offset, dtype):
    boxes, scores = random_boxes(60, dtype)
    assert ops.nms(boxes, scores, threshold, offset).tolist() == naive_ops.nms(boxes, scores, threshold, offset)


def test_nms_compares_with_the_threshold_as_a_c_float():
    boxes = torch.tensor([[0.0, 0, 10, 10], [0, 0, 10, 6]])
    assert ops.nms(boxes, torch.tensor([0.9, 0.8]), 0.6, 0).tolist() == [0, 1]


@pytest.mark.parametrize('offset', [0, 1])
def test_nms_of_no_boxes_keeps_none(offset):
    kept = ops.nms(torch.zeros(0, 4), torch.zeros(0), 0.5, offset)
    assert kept.shape == (0,)
    assert kept.dtype == torch.long


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('offset', [0, 1])
@pytest.mark.parametrize('method', ['naive', 'linear', 'gaussian'])
def test_softnms_decays_scores_as_defined(method, offset, dtype):
    boxes, scores = random_boxes(40, dtype)
    dets = boxes.new_zeros(40, 5)
    number = {'naive': 0, 'linear': 1, 'gaussian': 2}[method]
    kept = ops.softnms(boxes, scores, dets, 0.3, 0.5, 0.05, number, offset)
    expected = naive_ops.soft_nms(boxes, scores, 0.3, 0.5, 0.05, method, offset)
    assert kept.tolist() == [index for index, _ in expected]
    assert torch.equal(dets[:len(kept), :4], boxes[kept])
    torch.testing.assert_close(dets[:len(kept), 4], torch.tensor([score for _, score in expected]).to(dtype))


def test_softnms_of_no_boxes_keeps_none():
    assert ops.softnms(torch.zeros(0, 4), torch.zeros(0), torch.zeros(0, 5), 0.3, 0.5, 0.05, 1, 0).shape == (0,)


@pytest.mark.parametrize('threshold', [0.2, 0.5, 0.9])
def test_nms_match_groups_each_box_with_the_one_that_suppresses_it(threshold):
    boxes, scores = random_boxes(50)
    groups = ops.nms_match(torch.cat((boxes, scores[:, None]), dim=1), threshold)
    assert groups == naive_ops.nms_match(boxes, scores, threshold)


def test_nms_match_suppresses_at_exactly_the_threshold():
    dets = torch.tensor([[0.0, 0, 10, 10, 0.9], [0, 0, 10, 5, 0.8]])
    assert ops.nms_match(dets, 0.5) == [[0, 1]]


@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize('offset', [0, 1])
def test_bbox_overlaps_is_intersection_over_union(offset, dtype):
    (first, _), (second, _) = random_boxes(12, dtype), random_boxes(9, dtype)
    expected = torch.tensor([[naive_ops.iou(a, b, offset) for b in second] for a in first])
    matrix, pairs = first.new_zeros(12, 9), first.new_zeros(9)
    ops.bbox_overlaps(first, second, matrix, 0, False, offset)
    ops.bbox_overlaps(first[:9], second, pairs, 0, True, offset)
    torch.testing.assert_close(matrix, expected.to(dtype))
    torch.testing.assert_close(pairs, expected[:9].diag().to(dtype))


@pytest.mark.parametrize('offset', [0, 1])
def test_bbox_overlaps_over_the_first_box_divides_by_its_area(offset):
    first, second = torch.tensor([[0.0, 0, 9, 4]]), torch.tensor([[5.0, 0, 20, 20]])
    ious = torch.zeros(1, 1)
    ops.bbox_overlaps(first, second, ious, 1, False, offset)
    assert ious.item() == pytest.approx((4 + offset) * (4 + offset) / ((9 + offset) * (4 + offset)))
