"""Costs of matching against mmdet's."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.task_modules import HungarianAssigner
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData

from swin_mmdet.detectors.image_sizes import image_sizes
from swin_mmdet.detectors.set_matching import AsyncCosts, match_cheapest, pair_costs
from swin_mmdet.structures import gather_objects

LAYERS, QUERIES, CLASSES = 2, 9, 4
METAS = [{'img_shape': (30, 50)}, {'img_shape': (41, 20)}, {'img_shape': (9, 9)}]


@pytest.fixture(autouse=True)
def _names_are_mmdets():
    """Whatever the scope of a runner before."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def case(counts):
    generator = torch.Generator().manual_seed(0)
    scores = torch.randn(LAYERS, len(counts), QUERIES, CLASSES, generator=generator) * 4
    corners = torch.rand(LAYERS, len(counts), QUERIES, 2, 2, generator=generator) * 40
    boxes = torch.cat([corners.amin(-2), corners.amax(-2)], -1)
    instances = []
    for count in counts:
        corners = torch.rand(count, 2, 2, generator=generator) * 40
        labels = torch.randint(CLASSES, (count,), generator=generator)
        instances.append(InstanceData(bboxes=torch.cat([corners.amin(1), corners.amax(1)], 1), labels=labels))
    return scores, boxes, instances


@pytest.mark.parametrize(
    'costs',
    [
        [{'type': 'FocalLossCost', 'weight': 2.0}],
        [{'type': 'FocalLossCost', 'alpha': 0.6, 'gamma': 1, 'eps': 1e-3}],
        [{'type': 'ClassificationCost', 'weight': 3.0}],
        [{'type': 'BBoxL1Cost', 'box_format': 'xywh', 'weight': 5.0}],
        [{'type': 'BBoxL1Cost', 'box_format': 'xyxy'}],
        [{'type': 'IoUCost', 'iou_mode': 'giou', 'weight': 2.0}],
        [{'type': 'IoUCost', 'iou_mode': 'iof'}, {'type': 'ClassificationCost'}],
    ],
    ids=str,
)
def test_costs_and_pairs_are_mmdets(costs):
    assigner = HungarianAssigner(costs)
    scores, boxes, instances = case((3, 0, 20))
    objects, sizes = gather_objects(instances), image_sizes(METAS, boxes)
    found = pair_costs(assigner, scores, boxes, objects, sizes)
    assert found.dtype == torch.float32
    # more than one set of predictions at a time
    first, second = AsyncCosts([found, found[:1, ..., :5]]).wait()
    matches = match_cheapest(first, instances)
    assert second.shape == (1, 3, 20, 5)
    assert matches.counts == [3, 0, QUERIES]
    for layer in range(LAYERS):
        own = matches.of_layer(layer)
        pairs = zip(own.indices.split(matches.counts), own.objects.split(matches.counts), strict=True)
        for image, (places, of_image) in enumerate(pairs):
            predicted = InstanceData(scores=scores[layer, image], bboxes=boxes[layer, image])
            options = {'pred_instances': predicted, 'gt_instances': instances[image], 'img_meta': METAS[image]}
            expected = sum(cost(**options) for cost in assigner.match_costs)
            torch.testing.assert_close(found[layer, image, : expected.shape[1]].mT, expected, rtol=1e-5, atol=1e-6)
            assigned = assigner.assign(**options).gt_inds
            assert torch.equal(places - image * QUERIES, assigned.nonzero()[:, 0])
            assert torch.equal(of_image + 1, assigned[assigned > 0])


def test_low_precision_makes_no_ties():
    scores, boxes, instances = case((5, 5, 5))
    objects, sizes = gather_objects(instances), image_sizes(METAS, boxes)
    assigner = HungarianAssigner([{'type': 'FocalLossCost'}, {'type': 'BBoxL1Cost', 'box_format': 'xywh'}])
    low = scores.bfloat16()
    with torch.autocast('cpu', torch.bfloat16):
        found = pair_costs(assigner, low, boxes, objects, sizes)
    assert torch.equal(found, pair_costs(assigner, low.float(), boxes, objects, sizes))


@pytest.mark.parametrize('count', [10, 100], ids=['one after the other', 'in threads'])
def test_many_objects_are_matched_in_threads(count):
    generator = torch.Generator().manual_seed(0)
    costs = torch.rand(3, 2, count, 150, generator=generator)
    instances = [InstanceData(bboxes=torch.rand(count, 4), labels=torch.arange(count)) for _ in range(2)]
    # of a permutation that costs nothing there is but one cheapest choice
    free = torch.stack([torch.randperm(150, generator=generator)[:count] for _ in range(6)]).view(3, 2, count)
    matches = match_cheapest((costs + 1).scatter(3, free[..., None], 0).numpy(), instances)
    for layer in range(3):
        own = matches.of_layer(layer)
        for image in range(2):
            mine = own.images == image
            assert torch.equal(free[layer, image][own.objects[mine]], own.indices[mine] - image * 150)
            assert torch.equal(own.labels[mine], own.objects[mine])
