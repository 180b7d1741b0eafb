"""Detections of a batch against mmdet's `multiclass_nms` of each image."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmcv.ops import batched_nms
from mmdet.models.layers import multiclass_nms as mmdet_nms

from swin_mmdet.ops.multiclass_nms import find_candidates, labelled_nms, multiclass_nms

BATCH, PROPOSALS, CLASSES = 3, 150, 5


def predictions(shared_boxes, ties=False, proposals=PROPOSALS, seed=0):
    """Boxes [B, P, K or 1, 4], scores [B, P, K]: overlapping boxes, most scores low."""
    generator = torch.Generator().manual_seed(seed)
    middle = torch.randint(8, (BATCH, proposals, 1, 1), generator=generator) * 60.0 + 40
    shape = BATCH, proposals, 1 if shared_boxes else CLASSES, 2
    corner = middle + torch.rand(shape, generator=generator) * 20
    boxes = torch.cat((corner, corner + 40 + 15 * torch.rand(shape, generator=generator)), dim=-1)
    scores = (torch.randn(BATCH, proposals, CLASSES + 1, generator=generator) * 3).softmax(-1)[..., :-1]
    return boxes, (scores * 16).round() / 16 if ties else scores


def detections(boxes, scores, valid, score_threshold, iou_threshold, max_per_image):
    """Of boxes [B, P, K or 1, 4]."""
    candidates = find_candidates(scores, valid, score_threshold)
    place = candidates.proposals[..., None].expand(-1, -1, -1, 4)
    boxes = boxes.expand(-1, -1, scores.shape[2], -1).transpose(1, 2).gather(2, place)
    return multiclass_nms(boxes, candidates, iou_threshold, max_per_image)


def of_image(boxes, scores, valid, score_threshold, iou_threshold, max_per_image):
    background = torch.zeros(len(scores), 1)
    dets, labels = mmdet_nms(
        boxes[valid].flatten(1), torch.cat((scores, background), 1)[valid], score_threshold,
        dict(type='nms', iou_threshold=iou_threshold), max_per_image,
    )
    return dets[:, :4], dets[:, 4], labels


def assert_equals_mmdet(boxes, scores, valid, *thresholds):
    found = detections(boxes, scores, valid, *thresholds)
    counts = found.counts.tolist()
    for image, count in enumerate(counts):
        expected = of_image(boxes[image], scores[image], valid[image], *thresholds)
        assert count == len(expected[0])
        for ours, theirs in zip((found.boxes, found.scores, found.labels), expected):
            assert torch.equal(ours[image, :count], theirs)
    return counts


@pytest.mark.parametrize('max_per_image', [10, 10000])
@pytest.mark.parametrize('shared_boxes', [False, True], ids=['boxes of classes', 'shared boxes'])
def test_detections_are_mmdets(shared_boxes, max_per_image):
    boxes, scores = predictions(shared_boxes)
    valid = torch.arange(PROPOSALS) < torch.tensor([PROPOSALS, 7, 40])[:, None]
    counts = assert_equals_mmdet(boxes, scores, valid, 0.05, 0.5, max_per_image)
    assert max(counts) == 10 if max_per_image == 10 else 10 < max(counts) < 500


def test_boxes_are_compared_where_mmdet_compares_them():
    # halves of others: whether an IoU of 0.5 comes out above 0.5 is a matter of rounding, so of the place
    boxes, scores = predictions(shared_boxes=True)
    left, top, right, bottom = boxes[:, ::2].unbind(-1)
    boxes[:, 1::2] = torch.stack((left, top, (left + right) / 2, bottom), dim=-1)
    scores[:, 1] = 0.01  # not among the candidates, so its place does not count
    boxes[:, 1] = 1e4
    assert_equals_mmdet(boxes, scores, torch.ones(BATCH, PROPOSALS, dtype=torch.bool), 0.05, 0.5, 10000)


def test_equal_scores_come_in_mmdets_order():
    boxes, scores = predictions(shared_boxes=False, ties=True)
    assert_equals_mmdet(boxes, scores, torch.ones(BATCH, PROPOSALS, dtype=torch.bool), 0.05, 0.5, 30)


def test_images_without_candidates_have_no_detections():
    boxes, scores = predictions(shared_boxes=True)
    scores[0] = 0.04
    valid = torch.ones(BATCH, PROPOSALS, dtype=torch.bool)
    valid[1] = False
    counts = assert_equals_mmdet(boxes, scores, valid, 0.05, 0.5, 30)
    assert counts[:2] == [0, 0]
    assert counts[2]


def test_no_candidates():
    _, scores = predictions(shared_boxes=True)
    assert find_candidates(scores, torch.zeros(BATCH, PROPOSALS, dtype=torch.bool), 0.05) is None
    assert find_candidates(scores, torch.ones(BATCH, PROPOSALS, dtype=torch.bool), 1.0) is None
    assert find_candidates(scores[:, :0], torch.ones(BATCH, 0, dtype=torch.bool), 0.05) is None


@pytest.mark.parametrize('max_per_image', [10, 10000])
@pytest.mark.parametrize('ties', [False, True], ids=['different scores', 'equal scores'])
def test_candidates_with_a_label_each_are_suppressed_as_mmcv_does(ties, max_per_image):
    boxes, scores = predictions(shared_boxes=True, ties=ties)
    boxes, (scores, labels) = boxes[:, :, 0], scores.max(-1)
    valid = torch.arange(PROPOSALS) < torch.tensor([PROPOSALS, 0, 40])[:, None]
    found = labelled_nms(boxes, scores, labels, valid, 0.5, max_per_image)
    counts = found.counts.tolist()
    for image in (0, 2):
        of_image = [x[image][valid[image]] for x in (boxes, scores, labels)]
        _, keep = batched_nms(*of_image, dict(type='nms', iou_threshold=0.5))
        keep = keep[:max_per_image]
        assert counts[image] == len(keep)
        for ours, theirs in zip((found.boxes, found.scores, found.labels), of_image):
            assert torch.equal(ours[image, : len(keep)], theirs[keep])
    assert counts[1] == 0
    assert min(counts[::2]) == 10 if max_per_image == 10 else 10 < counts[0] < PROPOSALS
