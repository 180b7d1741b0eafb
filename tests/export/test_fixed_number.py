"""Detections of a fixed number are mmdet's, with nothing after them."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmcv.ops import batched_nms
from mmdet.models.task_modules.prior_generators import AnchorGenerator

from swin_mmdet.export.fixed_number import NOTHING, best, results, rows_of, suppress, take


@pytest.mark.parametrize('most', [3, 5, 9])
def test_the_best_are_those_of_topk_and_nothing_after_them(most):
    scores = torch.tensor([[0.2, 0.9, 0.1, 0.5, 0.7]])
    found, place = best(scores, most)
    expected, where = scores.topk(min(most, 5))
    assert found.shape == place.shape == (1, most)
    assert torch.equal(found[:, :5], expected)
    assert torch.equal(place[:, :5], where)
    assert (found[:, 5:] == NOTHING).all()
    assert (place[:, 5:] == 0).all()


def test_nms_keeps_what_mmcv_keeps():
    generator = torch.Generator().manual_seed(0)
    start = 60 * torch.rand(300, 2, generator=generator)
    boxes = torch.cat([start, start + 5 + 30 * torch.rand(300, 2, generator=generator)], 1)
    scores, labels = torch.rand(300, generator=generator), torch.randint(3, (300,), generator=generator)
    expected, kept = batched_nms(boxes, scores, labels, dict(type='nms', iou_threshold=0.5))
    assert 20 < len(kept) < 300
    # one image of 300 boxes, one of the best hundred of them
    places = scores.topk(100).indices
    fewer = scores.clone().fill_(NOTHING)
    fewer[places] = scores[places]
    both = boxes.expand(2, -1, -1), torch.stack([scores, fewer]), labels.expand(2, -1)
    found, place = suppress(*both, 0.5, 300)
    assert torch.equal(place[0, : len(kept)], kept)
    assert torch.equal(found[0, : len(kept)], expected[:, 4])
    assert (found[0, len(kept) :] == NOTHING).all()
    of_fewer = batched_nms(boxes[places], scores[places], labels[places], dict(type='nms', iou_threshold=0.5))[1]
    assert torch.equal(place[1, : len(of_fewer)], places[of_fewer])
    boxes, scores, labels = results(take(both[0], place), found, both[2].gather(1, place))
    assert ((labels >= 0).sum(1) == torch.tensor([len(kept), len(of_fewer)])).all()
    assert (scores[labels < 0] == 0).all()
    assert (boxes[labels < 0] == 0).all()


def test_rows_stand_as_anchors_do():
    """Of a map whose channels and pixels say which they are."""
    anchors, height, width = 3, 4, 5
    place = torch.arange(height * width).view(height, width)
    maps = torch.stack([anchor * 100 + place for anchor in range(anchors)])[None].float()
    generator = AnchorGenerator(strides=[8], ratios=[0.5, 1.0, 2.0], scales=[8])
    priors = generator.single_level_grid_priors((height, width), 0, device='cpu')
    center, ratio = (
        (priors[:, :2] + priors[:, 2:]) / 2 / 8,
        (priors[:, 3] - priors[:, 1]) / (priors[:, 2] - priors[:, 0]),
    )
    expected = 100 * torch.log2(ratio / 0.5).round() + (center[:, 1] * width + center[:, 0]).round()
    assert torch.equal(rows_of(maps, 1)[0, :, 0], expected)
