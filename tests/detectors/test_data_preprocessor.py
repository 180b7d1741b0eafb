"""The preprocessor gives what mmdet's gives for the same batch."""

import copy
import subprocess
import sys

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.data_preprocessors import DetDataPreprocessor as MMDetDataPreprocessor
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from swin_mmdet.detectors import DetDataPreprocessor
from swin_mmdet.ops.memory_format import memory_format
from swin_mmdet.structures import PackedMasks

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
RECIPE = dict(
    mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True, pad_mask=True, pad_size_divisor=32
)


def batch(*sizes, dtype=torch.uint8, channels=3, channels_last=True, pack=PackedMasks.from_bitmap):
    """As a loader gives it: inputs and samples."""
    rng = np.random.default_rng(0)
    inputs, samples = [], []
    for height, width in sizes:
        image = torch.from_numpy(rng.integers(0, 256, (height, width, channels), dtype=np.uint8)).permute(2, 0, 1)
        inputs.append(image.to(dtype) if channels_last else image.contiguous().to(dtype))
        masks = BitmapMasks(rng.integers(0, 2, (2, height, width), dtype=np.uint8), height, width)
        boxes = HorizontalBoxes(torch.rand(2, 4))
        sample = DetDataSample(metainfo={'img_shape': (height, width)})
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.arange(2), masks=pack(masks))
        sample.gt_sem_seg = PixelData(sem_seg=torch.ones(1, height, width, dtype=torch.uint8))
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


def run_both(data, training=True, **options):
    options = RECIPE | options
    expected = MMDetDataPreprocessor(**options).to(DEVICE)(copy.deepcopy(data), training)
    result = DetDataPreprocessor(**options).to(DEVICE)(copy.deepcopy(data), training)
    assert result.keys() == expected.keys()
    assert result['inputs'].dtype == torch.float32
    torch.testing.assert_close(result['inputs'], expected['inputs'], rtol=1e-6, atol=0)
    return expected['data_samples'], result['data_samples']


@pytest.mark.parametrize('divisor', [1, 32])
@pytest.mark.parametrize('training', [True, False])
@pytest.mark.parametrize('channels_last', [True, False])
def test_batches_and_samples_are_mmdets(divisor, training, channels_last):
    data = batch((37, 50), (64, 33), channels_last=channels_last)
    expected, result = run_both(data, training, pad_size_divisor=divisor, pad_value=3)
    for theirs, ours in zip(expected, result, strict=True):
        assert ours.metainfo == theirs.metainfo
        assert ours.gt_instances.bboxes.equal(theirs.gt_instances.bboxes)
        masks = ours.gt_instances.masks
        assert isinstance(masks, PackedMasks)
        np.testing.assert_array_equal(masks.to_ndarray(), theirs.gt_instances.masks.to_ndarray())
        assert (masks.height, masks.width) == (ours.batch_input_shape if training else ours.img_shape)


@pytest.mark.parametrize(
    'options',
    [
        {'bgr_to_rgb': False}, {'bgr_to_rgb': False, 'rgb_to_bgr': True}, {'mean': None, 'std': None},
        {'mean': [100.0], 'std': [2.0]}, {'pad_seg': True}, {'boxtype2tensor': False}, {'pad_mask': False},
        {'batch_augments': [{'type': 'mmdet.BatchFixedSizePad', 'size': (128, 96), 'pad_mask': True}]},
    ],
    ids=str,
)  # fmt: skip
def test_options_are_mmdets(options):
    expected, result = run_both(batch((20, 30), (33, 17)), **options)
    for theirs, ours in zip(expected, result, strict=True):
        assert type(ours.gt_instances.bboxes) is type(theirs.gt_instances.bboxes)
        assert torch.equal(ours.gt_sem_seg.sem_seg, theirs.gt_sem_seg.sem_seg)
        np.testing.assert_array_equal(ours.gt_instances.masks.masks, theirs.gt_instances.masks.masks)
        assert ours.metainfo == theirs.metainfo


def test_bitmaps_are_padded_as_mmdet_does():
    expected, result = run_both(batch((20, 30), (33, 17), pack=lambda masks: masks))
    for theirs, ours in zip(expected, result, strict=True):
        np.testing.assert_array_equal(ours.gt_instances.masks.masks, theirs.gt_instances.masks.masks)


@pytest.mark.parametrize('options', [{'dtype': torch.float32}, {'channels': 1}], ids=str)
def test_other_images_take_mmdets_way(options):
    one = {'mean': [100.0], 'std': [2.0], 'bgr_to_rgb': False} if 'channels' in options else {}
    run_both(batch((20, 30), (33, 17), **options), **one)


def test_a_stacked_batch_takes_mmdets_way():
    inputs = torch.randint(0, 256, (2, 3, 20, 30), dtype=torch.uint8)
    expected, result = run_both({'inputs': inputs, 'data_samples': None})
    assert expected is result is None


@pytest.mark.parametrize('autocast', [False, True])
def test_layout(autocast):
    """On a GPU that computes in half precision: channels innermost, with the same values."""
    data = batch((37, 50), (64, 33))
    with torch.autocast(DEVICE, torch.bfloat16, enabled=autocast):
        run_both(data)
        images = DetDataPreprocessor(**RECIPE).to(DEVICE)(data, True)['inputs']
    channels_last = autocast and DEVICE == 'cuda'
    assert images.is_contiguous(memory_format=memory_format(channels_last))


def test_a_larger_batch_is_that_of_mmdet_and_padding_around_it():
    ours = DetDataPreprocessor(**RECIPE).to(DEVICE)
    data = batch((37, 50), (64, 33))
    plain = ours(copy.deepcopy(data))['inputs']
    for size in ((96, 128), (64, 64)):
        found = ours(copy.deepcopy(data), fit_size=lambda own, size=size: size if own == (64, 64) else own)
        assert found['inputs'].shape[2:] == size
        assert torch.equal(found['inputs'][..., :64, :64], plain)
        assert not found['inputs'][..., 64:, :].any()
        assert not found['inputs'][..., 64:].any()
    # that of the next batch is its own again
    assert ours(copy.deepcopy(data))['inputs'].shape[2:] == (64, 64)


def test_inputs_without_samples():
    _, result = run_both({'inputs': batch((20, 30))['inputs']}, training=False)
    assert result is None


def test_configs_name_it_and_the_transforms_in_a_fresh_process():
    code = """
import swin_mmdet.compat
from mmdet.registry import MODELS, TRANSFORMS
built = [
    MODELS.build(dict(type='swin_mmdet.DetDataPreprocessor', mean=[0], std=[1])),
    TRANSFORMS.build(dict(type='swin_mmdet.LoadAnnotations', with_mask=True)),
    TRANSFORMS.build(dict(type='swin_mmdet.RandomFlip', prob=0.5)),
    TRANSFORMS.build(dict(type='swin_mmdet.PackDetInputs')),
]
print(*{type(one).__module__.split('.')[0] for one in built})
"""
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == 'swin_mmdet'
