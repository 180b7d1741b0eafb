"""Pipelines with our transforms give what mmdet's give, smaller and untransposed."""

import copy
import pickle
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmdet.datasets.transforms import transforms as mmdet_transforms
from mmdet.registry import TRANSFORMS
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.dataset import Compose, pseudo_collate
from mmengine.registry import DefaultScope
from torch.utils.data import DataLoader

import swin_mmdet.datasets.transforms as ours
from swin_mmdet.structures import LazyMasks, PackedMasks
from tests.structures.annotations import sample

LOAD = {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True}
FLIP = {'type': 'RandomFlip', 'prob': [0.3, 0.3, 0.3], 'direction': ['horizontal', 'vertical', 'diagonal']}
SCALES = [(40, 90), (70, 90), (110, 150)]
RESIZE = {'type': 'RandomChoiceResize', 'scales': SCALES, 'keep_ratio': True}
CROP = {'type': 'RandomCrop', 'crop_type': 'absolute_range', 'crop_size': (20, 40), 'allow_negative_crop': True}
CHOICE = {'type': 'RandomChoice', 'transforms': [[RESIZE], [RESIZE, CROP, RESIZE]]}
PACK = {'type': 'PackDetInputs'}
PIPELINES = {
    '3x': [LOAD, FLIP, CHOICE, PACK],
    'no transform': [LOAD, PACK],
    'resize before annotations': [{'type': 'Resize', 'scale': (50, 60)}, LOAD, PACK],
    'resize without ratio': [LOAD, {'type': 'Resize', 'scale': (70, 31), 'keep_ratio': False}, FLIP, PACK],
    'crop alone': [LOAD, FLIP, CROP, PACK],
    'boxes from masks': [
        LOAD, CROP | {'recompute_bbox': True}, {'type': 'FilterAnnotations', 'by_mask': True, 'keep_empty': False},
        PACK,
    ],
    'large scale jitter': [
        LOAD, {'type': 'RandomResize', 'scale': (60, 60), 'ratio_range': (0.3, 2.0), 'keep_ratio': True},
        {'type': 'RandomCrop', 'crop_size': (50, 50), 'recompute_bbox': True, 'allow_negative_crop': True}, FLIP,
        {'type': 'Pad', 'size': (64, 64), 'pad_val': {'img': (114, 114, 114)}}, PACK,
    ],
    'expand': [LOAD, {'type': 'Expand'}, {'type': 'MinIoURandomCrop'}, FLIP, PACK],
    'rotate': [LOAD, {'type': 'Rotate', 'prob': 1.0, 'level': 5}, FLIP, PACK],
    'floats': [LOAD, {'type': 'PhotoMetricDistortion'}, FLIP, PACK],
    'polygons': [LOAD | {'poly2mask': False}, FLIP, RESIZE, PACK],
    'boxes alone': [LOAD | {'with_mask': False}, FLIP, CHOICE, PACK],
}  # fmt: skip


@pytest.fixture(autouse=True)
def scope():
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield


def in_our_scope(step):
    """The step of a pipeline, and those within it, by our transforms where there are any."""
    if isinstance(step, list):
        return [in_our_scope(one) for one in step]
    if not isinstance(step, dict):
        return step
    step = {key: in_our_scope(value) for key, value in step.items()}
    if step.get('type') in ours.__all__:
        step['type'] = f'swin_mmdet.{step["type"]}'
    return step


def run(pipeline, seed, size=(48, 64)):
    results = sample(np.random.default_rng(seed), *size)
    if pipeline[0]['type'].endswith('Annotations') and not pipeline[0].get('poly2mask', True):
        # mmdet's polygon masks cannot flip what they replaced
        results['instances'] = results['instances'][:3]
    np.random.seed(seed)
    return Compose([TRANSFORMS.build(copy.deepcopy(step)) for step in pipeline])(results)


@pytest.mark.parametrize('name', PIPELINES)
@pytest.mark.parametrize('seed', range(4))
def test_results_are_mmdets(name, seed):
    pipeline = PIPELINES[name]
    theirs, found = run(pipeline, seed), run(in_our_scope(pipeline), seed)
    if theirs is None:
        assert found is None
        return
    assert found.keys() == theirs.keys()
    image = found['inputs']
    assert image.dtype == theirs['inputs'].dtype
    assert torch.equal(image, theirs['inputs'])
    assert image.permute(1, 2, 0).is_contiguous()
    theirs, found = theirs['data_samples'], found['data_samples']
    assert found.metainfo.keys() == theirs.metainfo.keys()
    assert all(found.metainfo[key] == theirs.metainfo[key] for key in theirs.metainfo_keys())
    for kind in ('gt_instances', 'ignored_instances'):
        expected, instances = theirs.get(kind), found.get(kind)
        assert instances.keys() == expected.keys()
        for key in set(expected.keys()) - {'masks'}:
            assert type(instances[key]) is type(expected[key])
            np.testing.assert_array_equal(instances[key].numpy(), expected[key].numpy())
        if isinstance(expected.get('masks'), BitmapMasks):
            assert isinstance(instances.masks, PackedMasks)
            np.testing.assert_array_equal(instances.masks.to_ndarray(), expected.masks.masks)
        elif 'masks' in expected:
            assert isinstance(instances.masks, PolygonMasks)


def test_copy_paste_takes_lazy_masks():
    found = []
    for steps in ([LOAD], in_our_scope([LOAD])):
        target, source = run(steps, 0), run(steps, 1)
        np.random.seed(0)
        mixed = TRANSFORMS.build({'type': 'CopyPaste', 'mask_occluded_thr': 10})(target | {'mix_results': [source]})
        found.append(mixed)
    theirs, ours = found
    np.testing.assert_array_equal(ours['gt_masks'].masks, theirs['gt_masks'].masks)
    np.testing.assert_array_equal(ours['img'], theirs['img'])
    assert theirs['gt_masks'].masks.any()


def test_masks_stay_lazy_between():
    results = run(in_our_scope([LOAD, FLIP, CHOICE]), 3)
    assert isinstance(results['gt_masks'], LazyMasks)


def test_albu_gives_masks_the_size_of_the_image(monkeypatch):
    """With a stand-in for albumentations that halves everything; with the package: test_albu.py."""

    def halve(**data):
        return data | {'image': data['image'][::2, ::2], 'masks': [mask[::2, ::2] for mask in data['masks']]}

    monkeypatch.setattr(mmdet_transforms, 'albumentations', SimpleNamespace(__version__='2.0.8'))
    monkeypatch.setattr(mmdet_transforms, 'Compose', lambda *_, **__: halve)
    results = run(in_our_scope([LOAD]), 0)
    before = results['gt_masks'].to_ndarray()
    masks = ours.Albu([])(results)['gt_masks']
    assert isinstance(masks, LazyMasks)
    np.testing.assert_array_equal(masks.to_ndarray(), before[:, ::2, ::2])
    assert before.any()


def test_bitmaps_of_other_transforms_are_packed():
    results = run([LOAD], 0)
    masks = results['gt_masks'].masks
    packed = ours.PackDetInputs()(results)['data_samples'].gt_instances.masks
    assert isinstance(packed, PackedMasks)
    np.testing.assert_array_equal(packed.to_ndarray(), masks[results['gt_ignore_flags'] == 0])


@pytest.mark.parametrize('shape', [(20, 30), (20, 30, 1), (20, 30, 3)], ids=str)
def test_flipped_images_are_in_order_in_memory(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for direction, axes in (('horizontal', (1,)), ('vertical', (0,)), ('diagonal', (0, 1))):
        results = ours.RandomFlip(prob=1.0, direction=direction)({'img': image, 'img_shape': shape[:2]})
        np.testing.assert_array_equal(results['img'], np.flip(image, axes))
        assert results['img'].flags.c_contiguous


@pytest.mark.parametrize('shape', [(20, 30), (20, 30, 1), (20, 30, 3)], ids=str)
def test_images_of_any_channels_are_packed(shape):
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    for view in (image, image[::-1], image[3:9, ::2]):
        found, expected = (
            TRANSFORMS.build({'type': f'{scope}.PackDetInputs'})({'img': view})['inputs']
            for scope in ('swin_mmdet', 'mmdet')
        )
        assert torch.equal(found, expected)


class Loaded(torch.utils.data.Dataset):
    """One sample through a pipeline, as often as asked for."""

    def __init__(self, pipeline):
        self.pipeline = pipeline

    def __len__(self):
        return 2

    def __getitem__(self, index):
        return run(self.pipeline, index)


def test_workers_hand_over_strides_and_masks():
    dataset = Loaded(in_our_scope(PIPELINES['3x']))
    (batch,) = DataLoader(dataset, batch_size=2, num_workers=1, collate_fn=pseudo_collate)
    for index, (image, found) in enumerate(zip(batch['inputs'], batch['data_samples'])):
        expected = dataset[index]
        assert image.stride() == expected['inputs'].stride() == (1, 3 * image.shape[2], 3)
        assert torch.equal(image, expected['inputs'])
        masks = expected['data_samples'].gt_instances.masks
        np.testing.assert_array_equal(found.gt_instances.masks.to_ndarray(), masks.to_ndarray())


def test_samples_pickle_smaller_than_mmdets():
    sizes = [len(pickle.dumps(run(steps, 1)['data_samples'])) for steps in
             (PIPELINES['3x'], in_our_scope(PIPELINES['3x']))]  # fmt: skip
    assert sizes[1] < sizes[0] / 4
