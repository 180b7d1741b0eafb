"""Packed masks hold exactly the bits of bitmaps, travel small and stand in for mmdet's masks."""

import copy
import pickle

import numpy as np
import pytest
import torch
from mmdet.models.utils.misc import mask2ndarray
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import HorizontalBoxes
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData

from swin_mmdet.structures import LazyMasks, PackedMasks


def bitmaps(height=30, width=41):
    """Noise, a rectangle, one pixel, nothing, everything, and a row of eight pixels."""
    rng = np.random.default_rng(0)
    masks = np.zeros((6, height, width), np.uint8)
    masks[0] = rng.integers(0, 2, (height, width))
    masks[1, 3 : height // 2, 9 : width - 2] = 1
    masks[2, -1, -1] = 1
    masks[4] = 1
    masks[5, 0, 8:16] = 1
    return BitmapMasks(masks, height, width)


@pytest.mark.parametrize('size', [(30, 41), (9, 24), (1, 24), (64, 17)], ids=str)
def test_packing_keeps_every_pixel(size):
    bitmap = bitmaps(*size)
    packed = PackedMasks.from_bitmap(bitmap)
    assert (packed.height, packed.width, len(packed)) == (*size, 6)
    assert (packed.bits.dtype, packed.starts.dtype, packed.boxes.dtype) == (torch.uint8, torch.int64, torch.int32)
    np.testing.assert_array_equal(packed.to_bitmap().masks, bitmap.masks)
    np.testing.assert_array_equal(packed.masks, bitmap.masks)
    np.testing.assert_array_equal(packed.areas, bitmap.areas)
    assert torch.equal(packed.get_bboxes().tensor, bitmap.get_bboxes('hbox').tensor)
    assert torch.equal(packed.to_tensor(torch.bool, 'cpu'), bitmap.to_tensor(torch.bool, 'cpu'))


def test_bits_are_those_of_the_tight_boxes_and_no_more():
    packed = PackedMasks.from_bitmap(bitmaps())
    boxes = packed.boxes.long()
    assert packed.boxes[[1, 2, 3, 5]].tolist() == [[9, 3, 30, 12], [40, 29, 1, 1], [0, 0, 0, 0], [8, 0, 8, 1]]
    sizes = (boxes[:, 2] + 7) // 8 * boxes[:, 3]
    assert packed.bits.numel() == sizes.sum()
    assert torch.equal(packed.starts, sizes.cumsum(0) - sizes)


@pytest.mark.parametrize(
    'index',
    [
        1, -1, slice(1, 5, 2), slice(4, None, 6), [], [3, 0], np.array([4, 4]), np.arange(6) % 2 == 0, np.int64(2),
        torch.tensor([5, 1]), torch.arange(6) > 3, torch.zeros(6, dtype=torch.bool),
    ],
    ids=repr,
)  # fmt: skip
def test_indexing_selects_objects(index):
    bitmap = bitmaps()
    chosen = PackedMasks.from_bitmap(bitmap)[index]
    expected = bitmap.masks[np.asarray(index, dtype=int) if isinstance(index, list) else index].reshape(-1, 30, 41)
    assert len(chosen) == len(expected)
    np.testing.assert_array_equal(chosen.to_ndarray(), expected)


def test_concatenation_keeps_order_and_bits():
    packed = PackedMasks.from_bitmap(bitmaps())
    other = PackedMasks.from_bitmap(bitmaps().flip())
    result = PackedMasks.cat([packed[[4, 1]], other, packed[:0], other[2]])
    expected = np.concatenate([packed.masks[[4, 1]], other.masks, other.masks[2:3]])
    np.testing.assert_array_equal(result.to_ndarray(), expected)
    again = PackedMasks.cat([packed[2:], packed[0]])
    assert again.bits is packed.bits
    np.testing.assert_array_equal(again.to_ndarray(), packed.masks[[2, 3, 4, 5, 0]])


def test_sizes_that_differ_are_refused():
    packed = PackedMasks.from_bitmap(bitmaps())
    with pytest.raises(ValueError, match=r'sizes \[\(30, 41\), \(32, 41\)\]'):
        PackedMasks.cat([packed, packed.pad((32, 41))])
    with pytest.raises(ValueError, match='one image size'):
        PackedMasks.cat([])


def test_padding_changes_the_size_alone():
    bitmap = bitmaps()
    packed = PackedMasks.from_bitmap(bitmap)
    padded = packed.pad((32, 64))
    assert padded.bits is packed.bits
    np.testing.assert_array_equal(padded.to_ndarray(), bitmap.pad((32, 64)).masks)
    np.testing.assert_array_equal(packed.pad((32, 64), 1).masks, bitmap.pad((32, 64), 1).masks)


def test_pickles_are_little_more_than_the_bits():
    packed = PackedMasks.from_bitmap(bitmaps(480, 640))[1:2]
    packed = PackedMasks.from_bitmap(packed.to_bitmap())
    content = pickle.dumps(packed)
    assert len(content) < packed.bits.numel() + 1000
    for twin in (pickle.loads(content), copy.deepcopy(packed), copy.copy(packed)):
        assert isinstance(twin.bits, torch.Tensor)
        np.testing.assert_array_equal(twin.to_ndarray(), packed.to_ndarray())


def test_no_objects():
    packed = PackedMasks.from_bitmap(BitmapMasks([], 20, 30))
    assert len(packed) == len(pickle.loads(pickle.dumps(packed))) == len(PackedMasks.cat([packed, packed])) == 0
    assert packed.to_ndarray().shape == (0, 20, 30)
    assert packed.get_bboxes().tensor.shape == (0, 4)


@pytest.mark.parametrize(
    ('name', 'arguments'),
    [
        ('flip', ('vertical',)), ('resize', ((50, 60),)), ('rescale', (1.7,)), ('crop', (np.array([2, 3, 20, 30]),)),
        ('expand', (60, 70, 5, 6)), ('translate', ((30, 41), 4)), ('shear', ((30, 41), 0.3)), ('rotate', ((30, 41), 9)),
        ('crop_and_resize', (torch.tensor([[1.0, 2, 30, 20], [5, 5, 9, 9]]), (28, 28), torch.tensor([4, 0]), 'cpu')),
    ],
)  # fmt: skip
def test_mmdets_methods_work(name, arguments):
    bitmap = bitmaps()
    packed = PackedMasks.from_bitmap(bitmap)
    np.testing.assert_array_equal(getattr(packed, name)(*arguments).masks, getattr(bitmap, name)(*arguments).masks)


def test_assigned_bitmaps_replace_the_masks():
    packed = PackedMasks.from_bitmap(bitmaps())
    masks = packed.masks
    masks[1:, 7:] = 0
    packed.masks = masks[1:]
    np.testing.assert_array_equal(packed.to_ndarray(), masks[1:])


def test_what_asks_for_bitmaps_takes_them():
    bitmap = bitmaps()
    packed = PackedMasks.from_bitmap(bitmap)
    np.testing.assert_array_equal(mask2ndarray(packed), bitmap.masks)
    boxes = HorizontalBoxes.from_instance_masks(packed)
    assert torch.equal(boxes.tensor, HorizontalBoxes.from_instance_masks(bitmap).tensor)


def test_samples_move_and_select_their_masks():
    bitmap = bitmaps()
    packed = PackedMasks.from_bitmap(bitmap)
    instances = InstanceData(masks=packed, labels=torch.arange(6))
    sample = DetDataSample(gt_instances=instances)
    moved = sample.to('meta', non_blocking=True).gt_instances.masks
    assert {moved.bits.device, moved.starts.device, moved.boxes.device} == {torch.device('meta')}
    assert (moved.height, moved.width, len(moved)) == (30, 41, 6)
    # mmengine selects one by one and concatenates
    for index in (torch.tensor([4, 0]), instances.labels > 2, slice(2), 3):
        chosen = instances[index]
        np.testing.assert_array_equal(chosen.masks.to_ndarray(), bitmap.masks[chosen.labels.numpy()])
    both = InstanceData.cat([instances, instances[instances.labels < 0], instances])
    assert len(both.masks) == 12


@pytest.mark.parametrize('box', [(0, 0, 9, 4), (-1, 0, 8, 4), (0, 2, 8, 4)], ids=str)
def test_a_box_beyond_its_image_is_refused(box):
    with pytest.raises(ValueError, match='in an image of 8 x 5'):
        PackedMasks.from_crops([(box, np.zeros((4, 2), np.uint8))], 5, 8)


def test_bits_that_do_not_fill_their_box_are_refused():
    with pytest.raises(ValueError, match=r'need \[4\] bytes'):
        PackedMasks.from_crops([((0, 0, 8, 4), np.zeros((3, 1), np.uint8))], 5, 8)


def test_tensors_of_other_shapes_are_refused():
    masks = PackedMasks.from_crops([((0, 0, 8, 4), np.zeros((4, 1), np.uint8))], 5, 8)
    with pytest.raises(ValueError, match=r'boxes \[G, 4\]'):
        PackedMasks(masks.bits, masks.starts, masks.boxes[:, :3], 5, 8)


def test_bitmaps_of_another_size_than_they_say_are_refused():
    bitmaps = BitmapMasks(np.zeros((2, 5, 8), np.uint8), 5, 8)
    bitmaps.masks = np.zeros((2, 8, 5), np.uint8)
    for kind in (LazyMasks, PackedMasks):
        with pytest.raises(ValueError, match=r'of shape .*8, 5\)'):
            kind.from_bitmap(bitmaps)
