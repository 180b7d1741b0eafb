"""Assignment and sampling of boxes against mmdet's own, an image at a time."""

import pytest
import torch

from swin_mmdet.ops.box_assignment import AssignmentRule, assign_boxes
from swin_mmdet.ops.box_sampling import close_ranks, sample_boxes

import swin_mmdet.compat  # isort: skip  # noqa: F401

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
RULES = {
    'rpn': AssignmentRule(0.7, 0.3, best=0.3),
    'rcnn': AssignmentRule(0.5, 0.5),
    'any best': AssignmentRule(0.5, 0.4, lowest_negative=0.1, best=0.0),
}


def ways():
    yield pytest.param(assign_boxes, id='as chosen')
    if pytest.importorskip('triton') and DEVICE == 'cpu':
        from swin_mmdet.ops.triton_box_assignment import triton_assign_boxes

        yield pytest.param(triton_assign_boxes, id='triton')


def random_boxes(*shape, generator, size=100):
    corners = torch.rand(*shape, 2, 2, generator=generator) * size
    return torch.cat([corners.amin(-2), corners.amax(-2)], -1).to(DEVICE)


def by_mmdet(boxes, valid, objects, count, rule):
    from mmdet.models.task_modules import MaxIoUAssigner
    from mmengine.structures import InstanceData

    negative = (rule.lowest_negative, rule.negative) if rule.lowest_negative else rule.negative
    assigner = MaxIoUAssigner(
        rule.positive, negative, rule.best or 0.0, match_low_quality=rule.best is not None,
        iou_calculator={'type': 'mmdet.BboxOverlaps2D'},  # whatever scope the tests before left
    )  # fmt: skip
    labels = torch.zeros(count, dtype=torch.long, device=boxes.device)
    found = assigner.assign(InstanceData(priors=boxes[valid]), InstanceData(bboxes=objects[:count], labels=labels))
    expected = torch.full((len(boxes),), -1, device=boxes.device)
    expected[valid] = found.gt_inds
    return expected


@pytest.mark.parametrize('assign', ways())
@pytest.mark.parametrize('rule', RULES.values(), ids=list(RULES))
@pytest.mark.parametrize('shared', [True, False], ids=['anchors', 'proposals'])
@pytest.mark.parametrize('case', ['random', 'whole numbers', 'degenerate'])
def test_each_image_is_assigned_as_mmdet_does(case, shared, rule, assign):
    generator = torch.Generator().manual_seed(0)
    counts = torch.tensor([7, 0, 1, 3, 50], device=DEVICE)
    boxes = random_boxes(1 if shared else 5, 700, generator=generator)
    objects = random_boxes(5, 50, generator=generator)
    if case == 'whole numbers':  # equal overlaps, on both sides
        boxes, objects = (boxes / 20).round() * 20, (objects / 20).round() * 20
    if case == 'degenerate':
        objects[:, ::3, 2:] = objects[:, ::3, :2]
        boxes[:, ::5, 2:] = boxes[:, ::5, :2]
        boxes[:, 1] = objects[:, 1] if not shared else objects[:1, 1]
    valid = torch.rand(5, 700, generator=generator).to(DEVICE) < 0.9
    found = assign(boxes, valid, objects, counts, rule)
    assert found.dtype == torch.int64
    for b, (expanded, count) in enumerate(zip(boxes.expand(5, -1, -1), counts.tolist(), strict=True)):
        expected = by_mmdet(expanded, valid[b], objects[b], count, rule)
        if case == 'whole numbers':
            # of objects that overlap a box equally any may be its own
            assert torch.equal(found[b] > 0, expected > 0)
            assert torch.equal(found[b] == 0, expected == 0)
        else:
            assert torch.equal(found[b], expected)


@pytest.mark.parametrize('assign', ways())
@pytest.mark.parametrize('shape', [(0, 5, 3), (2, 0, 3), (2, 5, 0)], ids=str)
def test_nothing_to_assign(shape, assign):
    images, boxes, objects = shape
    found = assign(
        torch.ones(images, boxes, 4, device=DEVICE), torch.ones(images, boxes, dtype=torch.bool, device=DEVICE),
        torch.ones(images, objects, 4, device=DEVICE), torch.zeros(images, dtype=torch.int64, device=DEVICE),
        RULES['rpn'],
    )  # fmt: skip
    assert torch.equal(found, torch.zeros(images, boxes, dtype=torch.int64, device=DEVICE))


@pytest.mark.parametrize('per_positive', [None, 2.5])
def test_the_numbers_are_exact_and_every_candidate_is_as_likely(per_positive):
    assigned = torch.full((3, 60), -1)
    assigned[0, :30], assigned[0, 30:55] = 2, 0  # more of both than are taken
    assigned[1, 5:8], assigned[1, 8:60] = 1, 0  # few with objects: background takes their place
    assigned[2, :4] = 0  # no objects, little background
    assigned = assigned.to(DEVICE)
    draws, counts = 4000, torch.zeros(3, 60, device=DEVICE)
    for _ in range(draws):
        places, found = sample_boxes(assigned, 16, 8, per_positive)
        assert torch.equal(assigned.gather(1, places)[found >= 0], found[found >= 0])
        assert not (found[:, :8] == 0).any()
        assert not (found[:, 8:] > 0).any()
        positives, negatives = [8, 3, 0], [8, 13, 4]
        if per_positive:
            negatives = [8, 7, 2]
        assert (found > 0).sum(1).tolist() == positives
        assert (found == 0).sum(1).tolist() == negatives
        counts.scatter_add_(1, places, (found >= 0).float())
    assert counts.max() <= draws  # none twice
    for image, (positive, negative) in enumerate(zip(positives, negatives, strict=True)):
        for kind, taken in ((assigned[image] > 0, positive), (assigned[image] == 0, negative)):
            if kind.any():
                share = taken / kind.sum()
                spread = (share * (1 - share) / draws) ** 0.5
                assert ((counts[image, kind] / draws - share).abs() <= 5 * spread).all()


def test_ranks_are_closed_in_order():
    places = torch.tensor([[4, 9, 7, 1, 3], [5, 6, 0, 0, 2]])
    assigned = torch.tensor([[2, -1, -1, 0, 0], [1, 3, -1, -1, 0]])
    found = close_ranks(places, assigned, 4)
    assert found[0].tolist() == [[4, 1, 3, 9], [5, 6, 2, 0]]
    assert found[1].tolist() == [[2, 0, 0, -1], [1, 3, 0, -1]]


def test_fewer_boxes_than_are_wanted():
    places, assigned = sample_boxes(torch.tensor([[1, 0, -1]]), 256, 128)
    assert places.shape == assigned.shape == (1, 6)
    assert sorted(assigned[0].tolist()) == [-1, -1, -1, -1, 0, 1]
