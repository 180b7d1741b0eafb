"""NMS of many segments against torchvision's of each alone; the Triton kernels interpreted where there is no GPU."""

import importlib.util

import pytest
import torch
import torchvision

from swin_mmdet.ops.batched_nms import batched_nms, plain_batched_nms

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
WAYS = ['plain', 'triton'] if importlib.util.find_spec('triton') else ['plain']
ways = pytest.mark.parametrize('way', WAYS)
# the interpreter's numpy tells of 0 / 0
pytestmark = pytest.mark.filterwarnings('ignore:invalid value encountered')
COUNTS = [0, 1, 63, 64, 65, 200]


def run(way, boxes, valid, iou_threshold):
    boxes, valid = boxes.to(DEVICE), valid.to(DEVICE)
    if way == 'plain':
        return plain_batched_nms(boxes, valid, iou_threshold).cpu()
    from swin_mmdet.ops.triton_batched_nms import triton_batched_nms

    return triton_batched_nms(boxes, valid, iou_threshold).cpu()


def one_by_one(boxes, valid, iou_threshold):
    """The definition: torchvision on the valid boxes of each segment."""
    keep = torch.zeros_like(valid)
    for kept, box, ok in zip(keep, boxes, valid):
        index = ok.nonzero()[:, 0]
        kept[index[torchvision.ops.nms(box[index], -index.float(), iou_threshold)]] = True
    return keep


def some_boxes(kind, segments, count, seed=0):
    generator = torch.Generator().manual_seed(seed)

    def uniform(*shape):
        return torch.rand(*shape, generator=generator)

    corner, size = uniform(segments, count, 2) * 100, uniform(segments, count, 2) * 40
    if kind == 'clustered':  # long chains in which each box would fall to the one before
        corner = uniform(segments, count, 2) * 12
        size = torch.full_like(size, 30.0)
    if kind == 'duplicates':
        corner, size = corner.round(decimals=-1), torch.full_like(size, 20.0)
    if kind == 'integers':  # ratios such as 1/2 that meet a threshold exactly
        corner, size = corner.floor() % 8, (size.floor() % 4) + 1
    if kind == 'empty':  # no area, or corners the wrong way round
        corner = corner / 4
        size[uniform(segments, count, 2) < 0.2] = 0
        size[uniform(segments, count) < 0.1] *= -1
    return torch.cat((corner, corner + size), dim=-1)


def some_valid(kind, segments, count):
    if kind == 'holes':
        return torch.rand(segments, count, generator=torch.Generator().manual_seed(1)) < 0.6
    if kind == 'first ones':  # different many in each segment
        return torch.arange(count) < (torch.arange(segments)[:, None] * count // max(segments - 1, 1))
    return torch.full((segments, count), kind == 'all')


@ways
@pytest.mark.parametrize('count', COUNTS)
@pytest.mark.parametrize('kind', ['random', 'clustered', 'duplicates', 'integers', 'empty'])
def test_every_segment_is_suppressed_as_alone(way, count, kind):
    boxes, valid = some_boxes(kind, 3, count), some_valid('all', 3, count)
    expected = one_by_one(boxes, valid, 0.5)
    assert torch.equal(run(way, boxes, valid, 0.5), expected)
    assert count < 63 or 0 < expected.sum() < expected.numel()


@ways
@pytest.mark.parametrize('count', [1, 65, 200])
@pytest.mark.parametrize('validity', ['none', 'holes', 'first ones'])
def test_invalid_boxes_are_not_kept_and_do_not_suppress(way, count, validity):
    boxes, valid = some_boxes('clustered', 4, count), some_valid(validity, 4, count)
    # an invalid box may be anything
    boxes[~valid] = float('nan')
    assert torch.equal(run(way, boxes, valid, 0.6), one_by_one(boxes, valid, 0.6))


@ways
def test_a_box_falls_only_to_boxes_that_are_kept(way):
    # each overlaps its neighbours alone, so every other one stays, across the border of tiles too
    start = torch.arange(150.0) * 10
    boxes = torch.stack((start, torch.zeros(150), start + 16, torch.full((150,), 10.0)), dim=1)[None]
    keep = run(way, boxes, torch.ones(1, 150, dtype=torch.bool), 0.2)
    assert torch.equal(keep[0], torch.arange(150) % 2 == 0)


@ways
def test_no_segments(way):
    assert run(way, torch.zeros(0, 5, 4), torch.zeros(0, 5, dtype=torch.bool), 0.5).shape == (0, 5)


def test_the_threshold_is_rounded_to_float32():
    # IoU 3/5, as float32 above 0.6 as float64
    boxes = torch.tensor([[[0.0, 0, 5, 1], [0, 0, 3, 1]]])
    assert batched_nms(boxes, torch.ones(1, 2, dtype=torch.bool), 0.6).all()


def test_other_types_are_refused():
    with pytest.raises(ValueError, match='float32'):
        batched_nms(torch.zeros(1, 2, 4, dtype=torch.float64), torch.ones(1, 2, dtype=torch.bool), 0.5)
