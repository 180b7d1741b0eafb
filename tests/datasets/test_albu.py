"""Albumentations through mmdet's wrapper and ours: masks move as the image does."""

import copy
import random

import numpy as np
import pytest
from mmdet.datasets.transforms import Albu as MMDetAlbu
from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations
from mmdet.structures.bbox import HorizontalBoxes

from swin_mmdet.datasets.transforms import Albu, LoadAnnotations
from swin_mmdet.structures import LazyMasks
from tests.structures.annotations import objects, sample

pytest.importorskip('albumentations', reason='albumentations slows every import of mmdet; it is tried where it is')

HEIGHT, WIDTH = 64, 80
STEPS = {
    'resize': dict(type='Resize', height=96, width=50),
    'crop': dict(type='CenterCrop', height=32, width=40),  # four of its masks have the pixels of one of the image
    'transpose': dict(type='Transpose', p=1),
    'turn': dict(type='RandomRotate90', p=1),
    'flip': dict(type='HorizontalFlip', p=1),
    'affine': dict(type='Affine', rotate=30, scale=0.8, p=1),
}
SAME_SIZE = ('flip', 'affine')
NO_BOXES = dict(gt_bboxes=HorizontalBoxes(np.zeros((0, 4), np.float32)))
steps = pytest.mark.parametrize('name', STEPS)


def loaded(load, masks=None):
    rng = np.random.default_rng(0)
    found = objects(rng, HEIGHT, WIDTH) if masks is None else masks
    results = load(with_bbox=True, with_mask=True)(sample(rng, HEIGHT, WIDTH, found))
    results['gt_bboxes'].clip_((HEIGHT, WIDTH))
    return results


def augment(albu, step, results, **params):
    random.seed(0)
    boxes = dict(type='BboxParams', format='pascal_voc', label_fields=['gt_bboxes_labels'], **params)
    wrapper = albu([copy.deepcopy(step)], bbox_params=boxes)
    wrapper.aug.set_random_seed(0)
    return wrapper(results)


@steps
def test_masks_of_kept_objects_are_mmdets(name):
    expected = augment(MMDetAlbu, STEPS[name], loaded(MMDetLoadAnnotations), filter_lost_elements=True)
    for albu in (MMDetAlbu, Albu):
        results = augment(albu, STEPS[name], loaded(LoadAnnotations), filter_lost_elements=True)
        assert isinstance(results['gt_masks'], LazyMasks)
        assert (results['gt_masks'].height, results['gt_masks'].width) == results['img_shape']
        np.testing.assert_array_equal(results['gt_masks'].to_ndarray(), expected['gt_masks'].masks)
        np.testing.assert_array_equal(results['gt_bboxes_labels'], expected['gt_bboxes_labels'])
        assert expected['gt_masks'].masks.any()


@steps
def test_without_filtering_mmdets_wrapper_gives_the_right_masks_or_an_error(name):
    """mmdet's wrapper states the old size, with which its bitmaps fail or are reshaped into another image."""
    reference = augment(MMDetAlbu, STEPS[name], loaded(MMDetLoadAnnotations), filter_lost_elements=True)
    if name in SAME_SIZE:
        results = augment(MMDetAlbu, STEPS[name], loaded(LoadAnnotations))
        pixels = results['gt_masks'].to_ndarray()
        assert all(any((mask == one).all() for one in pixels) for mask in reference['gt_masks'].masks)
    else:
        with pytest.raises(ValueError, match=rf'a bitmap of shape .* in an image of \({HEIGHT}, {WIDTH}\)'):
            augment(MMDetAlbu, STEPS[name], loaded(LoadAnnotations))


@steps
@pytest.mark.parametrize('load', [MMDetLoadAnnotations, LoadAnnotations], ids=['bitmaps', 'lazy'])
def test_our_wrapper_needs_no_filtering(name, load):
    """Every mask is where the same step puts its pixels when the image itself is the mask."""
    results = loaded(load)
    before = results['gt_masks'].to_ndarray()
    after = augment(Albu, STEPS[name], results)
    assert type(after['gt_masks']) is type(results['gt_masks'])
    masks = after['gt_masks'].to_ndarray()
    assert masks.shape == (len(before), *after['img_shape'])
    for mask, moved in zip(before, masks):
        picture = np.repeat(255 * mask[..., None], 3, axis=2)
        # masks are resized by nearest neighbours, images by default are not
        step = STEPS[name] | (dict(interpolation=0) if name in ('resize', 'affine') else {})
        alone = augment(MMDetAlbu, step, dict(img=picture, gt_bboxes_labels=[]) | NO_BOXES)
        np.testing.assert_array_equal(moved, alone['img'][..., 0] // 255)


def test_an_image_that_loses_every_object_has_masks_of_its_new_size():
    corner = [[0.0, 0.0, 6.0, 0.0, 6.0, 6.0, 0.0, 6.0]]
    results = loaded(LoadAnnotations, masks=[corner])
    results['gt_bboxes'].tensor[:] = results['gt_bboxes'].tensor.new_tensor([0, 0, 6, 6])
    results = augment(Albu, STEPS['crop'], results, filter_lost_elements=True)
    assert results['gt_masks'].to_ndarray().shape == (0, 32, 40)
    assert len(results['gt_bboxes']) == 0
