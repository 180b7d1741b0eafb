"""What lies exactly at a threshold falls on mmdet's side of it; random numbers never do."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmdet.models.detectors import DeformableDETR
from mmdet.models.layers import multiclass_nms as mmdet_nms
from mmdet.models.task_modules import DynamicSoftLabelAssigner
from mmengine.structures import InstanceData

from swin_mmdet.ops.multiclass_nms import find_candidates, multiclass_nms
from swin_mmdet.ops.pyramid import Pyramid, proposals
from swin_mmdet.ops.soft_label_assignment import SoftLabelSettings, assign_soft_labels
from swin_mmdet.ops.soft_nms import SoftNms, soft_nms

# the second overlaps the first by half, the third by a quarter
BOXES = torch.tensor([[0.0, 0, 8, 8], [0, 0, 8, 4], [0, 0, 4, 4]])


@pytest.mark.parametrize('score_threshold', [0.125, 0.25, 0.5])
@pytest.mark.parametrize('iou_threshold', [0.25, 0.5, 0.75])
def test_detections_with_scores_and_overlaps_of_just_so_much(score_threshold, iou_threshold):
    scores = torch.tensor([0.5, 0.25, 0.125])[:, None]
    expected, _ = mmdet_nms(BOXES, torch.cat([scores, 1 - scores], 1), score_threshold,
                            {'type': 'nms', 'iou_threshold': iou_threshold}, 10)  # fmt: skip
    candidates = find_candidates(scores[None], torch.ones(1, 3, dtype=torch.bool), score_threshold)
    if candidates is None:
        assert not len(expected)
        return
    found = multiclass_nms(BOXES[candidates.proposals[0]][None], candidates, iou_threshold, 10)
    assert found.counts.tolist() == [len(expected)]
    assert torch.equal(found.boxes[0, : len(expected)], expected[:, :4])


@pytest.mark.parametrize(
    ('method', 'iou_threshold', 'scores'),
    [
        ('naive', 0.5, [1, 0, 0.5]),
        ('naive', 0.25, [1, 0, 0]),
        ('linear', 0.5, [1, 0.25, 0.5 * 0.5]),
        ('linear', 0.501, [1, 0.5, 0.5]),
    ],
)
def test_soft_nms_begins_at_its_threshold(method, iou_threshold, scores):
    """The second box overlaps the third by half as well."""
    places, found = soft_nms(BOXES[None, None], torch.tensor([[[1.0, 0.5, 0.5]]]),
                             SoftNms(iou_threshold, method=method), 3)  # fmt: skip
    if (method, iou_threshold) == ('linear', 0.5):
        # the third is the better one of two that are left, and takes half of the second
        assert places.tolist() == [[0, 2, 1]]
        torch.testing.assert_close(found, torch.tensor([[1, 0.5, 0.125]]))
    else:
        kept = {place: score for place, score in zip(places[0].tolist(), found[0].tolist(), strict=True) if score >= 0}
        assert kept == {place: score for place, score in enumerate(scores) if score}


def test_a_score_of_just_the_least_is_kept():
    apart = torch.tensor([[0.0, 0, 1, 1], [5, 5, 6, 6], [9, 9, 10, 10], [0, 0, 1, 0.5]])
    scores = torch.tensor([1, 0.25, 0.2499, 0.5])
    _, found = soft_nms(apart[None, None], scores[None, None], SoftNms(0.3, min_score=0.25), 4)
    # the last becomes half of what it was: just the least
    assert sorted(found[0].tolist()) == [-1, 0.25, 0.25, 1]


def test_proposals_near_the_border_are_none():
    """Of 50 places the first lies at 0.01 and the last at 0.99, of 4 x 5 none."""
    sizes = ((50, 50), (4, 5))
    boxes, nothing = proposals(Pyramid(sizes, (sizes,)), torch.device('cpu'))
    inner = torch.zeros(50, 50, dtype=torch.bool)
    inner[1:-1, 1:-1] = True
    assert torch.equal(~nothing[0, :2500].view(50, 50), inner)
    assert not nothing[0, 2500:].any()
    detector = DeformableDETR.__new__(DeformableDETR)
    torch.nn.Module.__init__(detector)
    detector.memory_trans_fc = detector.memory_trans_norm = torch.nn.Identity()
    memory, mask = torch.ones(1, 2520, 4), torch.zeros(1, 2520, dtype=torch.bool)
    _, expected = detector.gen_encoder_output_proposals(memory, mask, torch.tensor(sizes))
    torch.testing.assert_close(boxes, expected)


def by_mmdet(scores, boxes, points, objects, labels, settings):
    assigner = DynamicSoftLabelAssigner(
        settings.soft_center_radius, settings.topk, settings.iou_weight, {'type': 'mmdet.BboxOverlaps2D'}
    )
    found = assigner.assign(
        InstanceData(scores=scores, bboxes=boxes, priors=points), InstanceData(bboxes=objects, labels=labels)
    )
    return found.gt_inds


@pytest.mark.parametrize('topk', [1, 2, 13])
@pytest.mark.parametrize('moved', [0.0, 0.25])
def test_points_on_the_border_of_an_object_are_not_inside(moved, topk):
    """Points are 8 apart, and so are borders of the objects; predictions overlap by whole shares."""
    row = torch.arange(5) * 8.0
    y, x = torch.meshgrid(row, row, indexing='ij')
    points = torch.stack([x, y, torch.full_like(x, 8), torch.full_like(x, 8)], -1).view(-1, 4)
    boxes = torch.cat([points[:, :2] - 8, points[:, :2] + 8], 1)
    objects = torch.tensor([[0.0, 0, 16, 16], [8, 8, 24, 32], [0, 0, 8, 8]]) + moved
    labels = torch.tensor([1, 0, 1])
    scores = torch.randn(25, 2, generator=torch.Generator().manual_seed(0))
    settings = SoftLabelSettings(topk, 3.0, 3.0)
    found, _ = assign_soft_labels(
        scores[None], boxes[None], points, torch.ones(1, 25, dtype=torch.bool), objects[None], labels[None],
        torch.tensor([3]), settings,
    )  # fmt: skip
    assert torch.equal(found[0], by_mmdet(scores, boxes, points, objects, labels, settings))
    assert (found > 0).any()
