"""Soft-NMS of a batch against the algorithm in float64, and against mmdet's `multiclass_nms`."""

import math

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmdet.models.layers import multiclass_nms as mmdet_nms

from swin_mmdet.ops.multiclass_nms import find_candidates, soft_multiclass_nms
from swin_mmdet.ops.soft_nms import SoftNms, soft_nms

METHODS = ['naive', 'linear', 'gaussian']
methods = pytest.mark.parametrize('method', METHODS)


def random_boxes(*shape, seed=0):
    """Boxes [*shape, 4] of which many overlap, and scores [*shape]."""
    generator = torch.Generator().manual_seed(seed)
    corner = torch.randint(4, (*shape, 1), generator=generator) * 40 + torch.rand(*shape, 2, generator=generator) * 12
    boxes = torch.cat([corner, corner + 20 + 15 * torch.rand(*shape, 2, generator=generator)], -1)
    return boxes, torch.rand(shape, generator=generator)


def iou(first, second):
    width, height = (min(first[2 + i], second[2 + i]) - max(first[i], second[i]) for i in (0, 1))
    overlap = max(width, 0) * max(height, 0)
    areas = [(box[2] - box[0]) * (box[3] - box[1]) for box in (first, second)]
    return overlap / (sum(areas) - overlap)


def by_definition(boxes, scores, rule):
    """Place and decayed score of what is kept of one class, best first, as the paper's pseudo-code goes."""
    left, kept = {place: score for place, score in enumerate(scores.tolist()) if score >= 0}, []
    boxes = boxes.double().tolist()
    while left:
        best = max(left, key=left.get)
        kept.append((best, left.pop(best)))
        for place in list(left):
            overlap = iou(boxes[best], boxes[place])
            far = rule.method != 'gaussian' and overlap < rule.iou_threshold
            weight = {'naive': 0, 'linear': 1 - overlap, 'gaussian': math.exp(-(overlap**2) / rule.sigma)}
            left[place] *= 1 if far else weight[rule.method]
            if left[place] < rule.min_score:
                del left[place]
    return kept


@methods
@pytest.mark.parametrize(('threshold', 'sigma', 'min_score'), [(0.3, 0.5, 1e-3), (0.6, 0.1, 0.2)], ids=str)
def test_boxes_and_scores_are_the_algorithms(method, threshold, sigma, min_score):
    rule = SoftNms(threshold, sigma, min_score, method)
    boxes, scores = random_boxes(2, 3, 20)
    scores[0, 1, 5:] = scores[1, 2] = -1
    places, found = soft_nms(boxes, scores, rule, 60)
    for image in range(2):
        expected = [
            (label * 20 + place, score)
            for label in range(3)
            for place, score in by_definition(boxes[image, label], scores[image, label], rule)
        ]
        expected.sort(key=lambda pair: -pair[1])
        count = len(expected)
        assert 5 < count < 60
        assert places[image, :count].tolist() == [place for place, _ in expected]
        torch.testing.assert_close(found[image, :count], torch.tensor([score for _, score in expected]))
        assert (found[image, count:] == -1).all()


def test_three_boxes_by_hand():
    # the second overlaps the first by half, the third by nothing
    boxes = torch.tensor([[[[0.0, 0, 10, 10], [0, 0, 10, 5], [50, 50, 60, 60]]]])
    scores = torch.tensor([[[0.8, 0.6, 0.4]]])
    for method, second in (('linear', 0.6 * 0.5), ('gaussian', 0.6 * math.exp(-(0.5**2) / 0.5))):
        places, found = soft_nms(boxes, scores, SoftNms(method=method), 3)
        expected = sorted([(0.8, 0), (second, 1), (0.4, 2)], reverse=True)
        assert places.tolist() == [[place for _, place in expected]]
        torch.testing.assert_close(found, torch.tensor([[score for score, _ in expected]]))
    places, found = soft_nms(boxes, scores, SoftNms(method='naive'), 3)
    assert (places[0, :2].tolist(), found[0, 2].item()) == ([0, 2], -1)


@methods
@pytest.mark.parametrize('most', [7, 1000])
def test_detections_are_mmdets(method, most):
    torch.manual_seed(3)
    boxes, _ = random_boxes(3, 60, 4, seed=2)
    scores = (torch.randn(3, 60, 5) * 3).softmax(-1)
    valid = torch.arange(60) < torch.tensor([60, 3, 40])[:, None]
    scores[2, :, :4] *= 0.04
    candidates = find_candidates(scores[..., :4], valid, 0.05)
    place = candidates.proposals[..., None].expand(-1, -1, -1, 4)
    rule = SoftNms(0.4, method=method)
    found = soft_multiclass_nms(boxes.transpose(1, 2).gather(2, place), candidates, rule, most)
    for image, count in enumerate(found.counts.tolist()):
        nms = dict(type='soft_nms', iou_threshold=0.4, method=method)
        dets, labels = mmdet_nms(boxes[image, valid[image]].flatten(1), scores[image, valid[image]], 0.05, nms, most)
        torch.testing.assert_close(found.boxes[image, :count], dets[:, :4], rtol=0, atol=0)
        torch.testing.assert_close(found.scores[image, :count], dets[:, 4])
        assert torch.equal(found.labels[image, :count], labels)
    assert found.counts[0] > 6
    assert found.counts[2] == 0


def test_the_best_is_kept_whatever_its_score():
    boxes, scores = random_boxes(1, 2, 3)
    places, found = soft_nms(boxes, scores * 1e-4, SoftNms(), 10)
    assert (places[0, 0], found[0, 0]) == (scores.argmax(), scores.max() * 1e-4)
    assert found[0, 1:].tolist() == [-1] * 5


@methods
def test_boxes_without_a_size_suppress_nothing(method):
    boxes, scores = torch.full((1, 1, 3, 4), 5.0), torch.tensor([[[0.3, 0.9, 0.6]]])
    _, found = soft_nms(boxes, scores, SoftNms(method=method), 3)
    torch.testing.assert_close(found, torch.tensor([[0.9, 0.6, 0.3]]))


def test_an_unknown_method_is_named():
    with pytest.raises(ValueError, match="method='cubic' is not one of"):
        soft_nms(torch.zeros(1, 1, 1, 4), torch.ones(1, 1, 1), SoftNms(method='cubic'), 1)
