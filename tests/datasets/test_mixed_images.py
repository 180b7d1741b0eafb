"""mmdet's transforms that mix images or write into masks do with lazy masks what they do with bitmaps."""

import copy
import random

import numpy as np
import pytest
from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations
from mmdet.registry import TRANSFORMS
from mmengine.registry import DefaultScope

from swin_mmdet.datasets.transforms import LoadAnnotations, PackDetInputs
from swin_mmdet.structures import LazyMasks
from tests.structures.annotations import objects, sample

SIZE = 48, 64
# steps, and how many other images they see before; `Mosaic` and `MixUp` themselves know no masks
STEPS = {
    'copy paste': (dict(type='CopyPaste', bbox_occluded_thr=2, mask_occluded_thr=30), 1),
    'copy paste of all': (dict(type='CopyPaste', selected=False), 1),
    'mosaic': (dict(type='CachedMosaic', img_scale=(50, 40), max_cached_images=5, prob=1.0), 4),
    'mixup': (dict(type='CachedMixUp', img_scale=(50, 40), max_cached_images=3, flip_ratio=1.0), 2),
    'erasing': (dict(type='RandomErasing', n_patches=(3, 6), ratio=(0.1, 0.4)), 0),
}


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def mixed(load, step, others, count, steps_before=(), seed=0):
    """The image and its objects after a step that also takes `others` images."""
    results = []
    for index in range(others + 1):
        rng = np.random.default_rng(seed + index)
        masks = objects(rng, *SIZE)[:3] + objects(rng, *SIZE)[4:5]
        one = load(with_bbox=True, with_mask=True)(sample(rng, *SIZE, masks[:count]))
        one['gt_ignore_flags'][:] = False
        for name in steps_before:
            one['gt_masks'] = getattr(one['gt_masks'], name)()
        results.append(one)
    np.random.seed(seed)
    random.seed(seed)
    transform = TRANSFORMS.build(step)
    if step['type'] == 'CopyPaste':
        return transform(results[0] | dict(mix_results=results[1:]))
    for other in results[1:]:
        transform(other)
    return transform(results[0])


def assert_same(ours, theirs):
    np.testing.assert_array_equal(ours['img'], theirs['img'])
    np.testing.assert_array_equal(ours['gt_masks'].to_ndarray(), theirs['gt_masks'].to_ndarray())
    np.testing.assert_array_equal(ours['gt_bboxes'].tensor.numpy(), theirs['gt_bboxes'].tensor.numpy())
    for key in ('gt_bboxes_labels', 'gt_ignore_flags'):
        np.testing.assert_array_equal(ours[key], theirs[key])
    packed = PackDetInputs(meta_keys=())(copy.copy(ours))['data_samples'].gt_instances.masks
    np.testing.assert_array_equal(packed.to_ndarray(), theirs['gt_masks'].to_ndarray())


@pytest.mark.parametrize('seed', range(3))
@pytest.mark.parametrize('count', [0, 1, 4])
@pytest.mark.parametrize('name', STEPS)
def test_lazy_masks_become_what_bitmaps_become(name, count, seed):
    step, others = STEPS[name]
    loads = LoadAnnotations, MMDetLoadAnnotations
    ours, theirs = (mixed(load, step, others, count, ['flip'], seed) for load in loads)
    assert len(theirs['gt_masks']) == len(theirs['gt_bboxes'])
    assert_same(ours, theirs)


def test_pasted_objects_hide_others():
    ours = mixed(LoadAnnotations, dict(type='CopyPaste', selected=False, mask_occluded_thr=0), 1, 4)
    masks = ours['gt_masks'].to_ndarray()
    assert len(masks) > 4
    # pasted ones come last, and nothing is left of the others where they are
    assert not (masks[:-4].any(0) & masks[-4:].any(0)).any()


def test_a_step_that_makes_masks_from_arrays_gets_them():
    # as the Albu of mmdet does it: arrays of the masks, transformed, and the class of what was there
    masks = mixed(LoadAnnotations, STEPS['erasing'][0], 0, 4)['gt_masks']
    arrays = [mask[::-1] for mask in masks.masks]
    made = type(masks)(arrays, *SIZE)
    assert isinstance(made, LazyMasks)
    np.testing.assert_array_equal(made.flip('vertical').to_ndarray(), masks.to_ndarray())
