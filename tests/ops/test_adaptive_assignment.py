"""Adaptive assignment against mmdet's own, an image at a time, and by hand."""

import pytest
import torch

from swin_mmdet.ops.adaptive_assignment import assign_adaptively

import swin_mmdet.compat  # isort: skip  # noqa: F401

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
SIZE = 200


def grid(strides, side=8):
    """Anchors of `side` strides at every stride, and how many each level has."""
    levels = []
    for stride in strides:
        places = torch.arange(0, SIZE, stride).float()
        y, x = torch.meshgrid(places, places, indexing='ij')
        half = side * stride / 2
        levels.append(torch.stack([x - half, y - half, x + half, y + half], -1).flatten(0, 1))
    return torch.cat(levels).to(DEVICE), [len(level) for level in levels]


def random_objects(images, most, case, generator):
    corners = torch.rand(images, most, 2, 2, generator=generator) * SIZE
    objects = torch.cat([corners.amin(-2), corners.amax(-2)], -1)
    if case == 'odd':
        objects[:, ::3, 2:] = objects[:, ::3, :2]  # without a size
        objects[:, 1::3] += 2 * SIZE  # outside
        objects[:, 2] *= 3
    if case == 'twice':  # of two that an anchor overlaps equally the first has it
        objects[:, 1::2] = objects[:, ::2]
    return objects.to(DEVICE)


def by_mmdet(anchors, valid, level_counts, objects, topk):
    from mmdet.models.task_modules import ATSSAssigner
    from mmengine.structures import InstanceData

    assigner = ATSSAssigner(topk, iou_calculator={'type': 'mmdet.BboxOverlaps2D'})
    truth = InstanceData(bboxes=objects, labels=torch.zeros(len(objects), dtype=torch.long, device=DEVICE))
    counts = [int(level.sum()) for level in valid.split(level_counts)]
    expected = torch.full((len(anchors),), -1, device=DEVICE)
    expected[valid] = assigner.assign(InstanceData(priors=anchors[valid]), counts, truth).gt_inds
    return expected


@pytest.mark.parametrize('topk', [1, 9, 400], ids=lambda topk: f'nearest {topk}')
@pytest.mark.parametrize('every', [True, False], ids=['all anchors', 'some'])
@pytest.mark.parametrize('case', ['random', 'odd', 'twice'])
def test_each_image_is_assigned_as_mmdet_does(case, every, topk):
    generator = torch.Generator().manual_seed(0)
    counts = [7, 0, 1, 4, 60]
    # of the last levels one has fewer anchors than are wanted, and one has one
    anchors, level_counts = grid([8, 16, 32, 64, SIZE])
    objects = random_objects(5, 60, case, generator)
    valid = torch.ones(5, len(anchors), dtype=torch.bool)
    if not every:
        valid = torch.rand(valid.shape, generator=generator) < 0.7
        valid[3, -sum(level_counts[2:]) :] = False
    valid = valid.to(DEVICE)
    found = assign_adaptively(anchors, valid, level_counts, objects, counts, topk)
    assert found.dtype == torch.int64
    for image, count in enumerate(counts):
        expected = by_mmdet(anchors, valid[image], level_counts, objects[image, :count], topk)
        assert torch.equal(found[image], expected)
    assert (found > 0).any()
    # of counts that the host does not know
    on_device = torch.tensor(counts, device=DEVICE)
    assert torch.equal(assign_adaptively(anchors, valid, level_counts, objects, on_device, topk), found)


def test_anchors_of_each_image_are_its_own():
    """As where earlier predictions take their place."""
    generator = torch.Generator().manual_seed(0)
    counts = [30, 0, 5]
    shared, level_counts = grid([8, 16, 32])
    sides = torch.rand(3, len(shared), 4, generator=generator).to(DEVICE) * 20
    anchors = shared + sides * torch.tensor([-1, -1, 1, 1], device=DEVICE)
    objects = random_objects(3, 30, 'random', generator)
    valid = (torch.rand(3, len(shared), generator=generator) < 0.8).to(DEVICE)
    found = assign_adaptively(anchors, valid, level_counts, objects, counts, 9)
    for image, count in enumerate(counts):
        expected = by_mmdet(anchors[image], valid[image], level_counts, objects[image, :count], 9)
        assert torch.equal(found[image], expected)
    assert (found[0] > 0).any()
    assert (found[2] > 0).any()


@pytest.mark.parametrize(('place', 'expected'), [((4.0, 4.0), [1, 0]), ((16.0, 16.0), [0, 1])])
def test_an_object_is_looked_for_around_a_place(place, expected):
    """Two anchors fit the box equally well: with one candidate of their level, that by the place is taken.

    The candidates' overlaps are 0.25, 0 and 0, and 0.25 is above their mean and deviation, 0.083 + 0.144.
    """
    far = [[50.0, 50, 60, 60], [70.0, 70, 80, 80]]
    anchors = torch.tensor([[0.0, 0, 10, 10], [10.0, 10, 20, 20], *far], device=DEVICE)
    box = torch.tensor([[[0.0, 0.0, 20.0, 20.0]]], device=DEVICE)
    around = torch.tensor([[place]], device=DEVICE)
    valid = torch.ones(1, 4, dtype=torch.bool, device=DEVICE)
    assert assign_adaptively(anchors, valid, [2, 1, 1], box, [1], 1, around).tolist() == [[*expected, 0, 0]]


def test_the_single_candidate_of_an_object_is_background():
    """The deviation of one overlap is no number."""
    anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0]], device=DEVICE)
    found = assign_adaptively(anchors, torch.ones(1, 1, dtype=torch.bool, device=DEVICE), [1], anchors[None], [1], 9)
    assert found.tolist() == [[0]]


def test_by_hand():
    """Overlaps of 1, 1/3 and 0 of three candidates: their mean is 4/9, their deviation 0.51, and one is above 0.95."""
    anchors = torch.tensor([[0.0, 0.0, 8.0, 8.0], [4.0, 0.0, 12.0, 8.0], [8.0, 0.0, 16.0, 8.0], [90.0, 0.0, 99.0, 9.0]])
    anchors = anchors.to(DEVICE)
    valid = torch.tensor([[True] * 4, [False, True, True, True]], device=DEVICE)
    objects = anchors[:1].expand(2, 1, 4)
    assert assign_adaptively(anchors, valid, [4], objects, [1, 0], 3).tolist() == [[1, 0, 0, 0], [-1, 0, 0, 0]]


def test_of_equal_overlaps_all_are_taken():
    """Four anchors of 64 pixels around an object of 20 x 23: mmdet takes them or not by how their mean is rounded."""
    anchors, level_counts = grid([8])
    for x in torch.arange(50.0, 60, 0.37):
        objects = torch.tensor([[[x - 10, 60, x + 10, 83]]], device=DEVICE)
        valid = torch.ones(1, len(anchors), dtype=torch.bool, device=DEVICE)
        found = assign_adaptively(anchors, valid, level_counts, objects, [1], 4)
        assert (found > 0).sum() == 4


def test_no_objects_and_no_images():
    anchors, level_counts = grid([32, 64])
    for images in (2, 0):
        valid = torch.ones(images, len(anchors), dtype=torch.bool, device=DEVICE)
        objects = torch.zeros(images, 1, 4, device=DEVICE)
        found = assign_adaptively(anchors, valid, level_counts, objects, [0] * images, 9)
        assert torch.equal(found, torch.zeros_like(valid, dtype=torch.int64))
