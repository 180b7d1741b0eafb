"""Lazy masks equal mmdet's bitmaps after the same steps, to the bit."""

import copy
import itertools

import numpy as np
import pycocotools.mask as rle_codec
import pytest
import torch
from mmdet.datasets.transforms import LoadAnnotations as MMDetLoadAnnotations
from mmdet.structures.mask import BitmapMasks

from swin_mmdet.datasets.transforms import LoadAnnotations
from swin_mmdet.structures import LazyMasks, PackedMasks
from swin_mmdet.structures.lazy_masks import nearest
from tests.structures.annotations import compressed, polygon, sample

SIZES = [(48, 64), (37, 53), (1, 40), (33, 1), (8, 8)]
sizes = pytest.mark.parametrize('size', SIZES, ids=str)


def both(rng, size, masks=None):
    """The masks of one sample as mmdet loads them, and ours."""
    results = sample(rng, *size, masks)
    theirs, ours = (
        load(with_bbox=True, with_mask=True)(copy.deepcopy(results)) for load in (MMDetLoadAnnotations, LoadAnnotations)
    )
    np.testing.assert_array_equal(theirs['gt_ignore_flags'], ours['gt_ignore_flags'])
    assert isinstance(ours['gt_masks'], LazyMasks)
    return theirs['gt_masks'], ours['gt_masks']


def assert_equal(theirs, ours):
    assert (theirs.height, theirs.width) == (ours.height, ours.width)
    assert len(theirs) == len(ours)
    bitmap = ours.to_bitmap()
    assert isinstance(bitmap, BitmapMasks)
    assert bitmap.masks.dtype == np.uint8
    np.testing.assert_array_equal(theirs.masks, bitmap.masks)


def random_step(rng, height, width):
    """Name and arguments of a method."""
    factor = rng.uniform(0.3, 2.5, 2)
    x1, y1 = rng.integers(-3, width), rng.integers(-3, height)
    return [
        ('flip', (rng.choice(['horizontal', 'vertical', 'diagonal']),)),
        ('resize', ((max(1, int(height * factor[0])), max(1, int(width * factor[1]))),)),
        ('rescale', (float(max(factor[0], 1.1 / min(height, width))),)),
        ('rescale', ((int(height * factor[0]) + 9, int(width * factor[1]) + 9),)),
        ('crop', (np.array([x1, y1, x1 + rng.integers(0, width + 5), y1 + rng.integers(0, height + 5)]),)),
        ('pad', ((height + rng.integers(0, 9), width + rng.integers(0, 9)),)),
    ][rng.integers(6)]


@sizes
def test_loaded_masks_are_mmdets(size):
    assert_equal(*both(np.random.default_rng(0), size))


@pytest.mark.parametrize('seed', range(40))
def test_chains_of_steps_give_mmdets_masks(seed):
    rng = np.random.default_rng(seed)
    theirs, ours = both(rng, SIZES[seed % len(SIZES)])
    for _ in range(5):
        name, arguments = random_step(rng, theirs.height, theirs.width)
        theirs, ours = getattr(theirs, name)(*arguments), getattr(ours, name)(*arguments)
        assert isinstance(ours, LazyMasks), name
        assert_equal(theirs, ours)


@pytest.mark.parametrize('digits', [0, 1, 15])
def test_polygons_within_and_beyond_the_image_are_pycocotools(digits):
    rng = np.random.default_rng(digits)
    for _ in range(300):
        height, width = rng.integers(1, 60, 2).tolist()
        centre = rng.uniform(-0.3, 1.3, 2) * (width, height)
        parts = [
            (centre + rng.uniform(-30, 30, (corners, 2))).round(digits).ravel()
            for corners in rng.integers(3, 9, rng.integers(1, 4))
        ]
        expected = rle_codec.decode(rle_codec.merge(rle_codec.frPyObjects(parts, height, width)))
        np.testing.assert_array_equal(LazyMasks([parts], height, width).to_ndarray()[0], expected)


def test_a_polygon_is_cut_behind_the_pixel_of_its_last_corner(monkeypatch):
    """Last corners at every twentieth of a pixel: nothing is lost, and pycocotools gets nothing to do beyond."""
    asked, encode = [], rle_codec.frPyObjects
    monkeypatch.setattr(rle_codec, 'frPyObjects', lambda parts, *size: asked.append(size) or encode(parts, *size))
    corner = np.arange(20) / 20
    for x, y in itertools.product(3 + corner, 5 + corner):
        part = [0.0, 0.0, x, 0.3, x, y, 0.3, y]
        expected = rle_codec.decode(encode([part], 9, 8)[0])
        np.testing.assert_array_equal(LazyMasks([[part]], 9, 8).to_ndarray()[0], expected)
        assert asked.pop() == (6, 4)


@pytest.mark.parametrize('old', [1, 7, 427, 640])
@pytest.mark.parametrize('new', [1, 5, 333, 800, 1333])
def test_a_resize_takes_the_rows_that_it_takes_of_a_whole_mask(old, new):
    mask = np.random.default_rng(0).integers(0, 2, (1, old, 30), dtype=np.uint8)
    expected = BitmapMasks(mask, old, 30).resize((new, 30)).masks
    np.testing.assert_array_equal(mask[:, nearest(old, new)], expected)


@pytest.mark.parametrize(
    'index', [2, -1, slice(1, 6, 2), [], [3, 0], np.array([4, 4]), np.arange(11) % 2 == 0], ids=repr
)
def test_indexing_is_mmdets(index):
    theirs, ours = both(np.random.default_rng(1), (30, 40))
    # bitmaps take no empty list
    expected = theirs[np.array(index, dtype=int) if isinstance(index, list) else index]
    assert_equal(expected, ours[index])


@pytest.mark.parametrize(
    ('name', 'arguments'),
    [
        ('expand', (60, 70, 5, 6)),
        ('translate', ((30, 40), 4)),
        ('shear', ((30, 40), 0.3)),
        ('rotate', ((30, 40), 30)),
        ('resize', ((50, 60), 'bilinear')),
        ('pad', ((50, 60), 3)),
    ],
)
def test_other_transforms_go_through_bitmaps(name, arguments):
    theirs, ours = both(np.random.default_rng(2), (30, 40))
    theirs, ours = theirs.flip(), ours.flip()
    np.testing.assert_array_equal(getattr(theirs, name)(*arguments).masks, getattr(ours, name)(*arguments).masks)


def test_measures_are_mmdets():
    theirs, ours = both(np.random.default_rng(3), (30, 40))
    box = np.array([10, 5, 30, 21])
    theirs, ours = theirs.crop(box).resize((9, 50)), ours.crop(box).resize((9, 50))
    np.testing.assert_array_equal(theirs.areas, ours.areas)
    for kind in ('hbox', type(theirs.get_bboxes('hbox'))):
        assert torch.equal(theirs.get_bboxes(kind).tensor, ours.get_bboxes(kind).tensor)
    np.testing.assert_array_equal(theirs.to_ndarray(), ours.to_ndarray())
    assert torch.equal(theirs.to_tensor(torch.float32, 'cpu'), ours.to_tensor(torch.float32, 'cpu'))
    np.testing.assert_array_equal(np.stack(list(theirs)), np.stack(list(ours)))


def test_an_image_without_objects():
    theirs, ours = both(np.random.default_rng(0), (30, 40), masks=[])
    assert_equal(theirs.flip().resize((20, 70)), ours.flip().resize((20, 70)))
    assert ours.get_bboxes().tensor.shape == (0, 4)
    packed = ours.pack()
    assert (len(packed), packed.bits.numel(), packed.boxes.shape) == (0, 0, (0, 4))


def test_masks_of_different_histories_are_concatenated():
    rng = np.random.default_rng(4)
    theirs, ours = both(rng, (30, 40))
    expected = BitmapMasks.cat([theirs.flip(), theirs.resize((60, 80)).resize((30, 40))])
    result = LazyMasks.cat([ours.flip(), ours.resize((60, 80)).resize((30, 40))])
    np.testing.assert_array_equal(expected.masks, result.to_ndarray())


def test_a_crop_beyond_the_image_keeps_one_empty_column():
    _, ours = both(np.random.default_rng(5), (30, 40))
    assert ours.crop(np.array([40, 0, 60, 30])).to_ndarray().tolist() == np.zeros((11, 30, 1)).tolist()


def test_steps_leave_their_source_as_it_was():
    theirs, ours = both(np.random.default_rng(6), (30, 40))
    ours.flip().crop(np.array([1, 1, 5, 5])).pad((9, 9)).resize((3, 3))
    assert_equal(theirs, ours)


def test_assigned_bitmaps_replace_the_masks():
    theirs, ours = both(np.random.default_rng(8), (30, 40))
    theirs, ours = theirs.flip().resize((20, 50)), ours.flip().resize((20, 50))
    theirs.masks = ours.masks = np.where(np.tri(20, 50), 0, theirs.masks)
    assert_equal(theirs.flip('vertical').resize((33, 21)), ours.flip('vertical').resize((33, 21)))


def test_packing_gives_tight_boxes():
    square = [[10.0, 4.0, 20.0, 4.0, 20.0, 12.0, 10.0, 12.0]]
    packed = LazyMasks([square], 30, 40).flip().resize((60, 120)).pack()
    assert isinstance(packed, PackedMasks)
    # a polygon of COCO covers the pixels whose centres it holds: columns 10 to 19, mirrored 20 to 29
    assert packed.boxes.tolist() == [[60, 8, 30, 16]]
    assert packed.bits.numel() == 16 * 4


@pytest.mark.parametrize(
    ('mask', 'message'),
    [
        (compressed(np.ones((5, 6), np.uint8)), r'RLE of size \[5, 6\]'),
        (np.ones((5, 6), np.uint8), r'a bitmap of shape \(5, 6\) in an image of \(6, 5\)'),
        (np.ones((1, 6, 5), np.uint8), r'a bitmap of shape \(1, 6, 5\)'),
        ({'size': [6, 5], 'counts': [3, 4]}, 'no run lengths that fill'),
        ({'size': [6, 5], 'counts': [40, -10]}, 'no run lengths that fill'),
        (compressed(np.eye(6, 5)) | {'counts': compressed(np.eye(6, 5))['counts'][:5]}, 'no run lengths that fill'),
        ({'size': [6, 5]}, 'neither polygons of at least 3 points'),
        ([[1, 2, 3, 4]], 'neither polygons of at least 3 points'),
        ([1, 2, 3, 4, 3, 1], 'lists inside a list'),
        ([[[1, 2], [3, 4], [3, 1]]], 'a list of points'),
        ([np.ones((3, 2))], 'a list of points'),
        ([[1, 2, 3, float('nan'), 3, 1]], 'no number'),
        ([[1, 2, 3, None, 3, 1]], 'no number'),
        ([[1, 2, 3, 1e12, 3, 1]], 'an outline of more than'),
        ('polygon', 'neither a list of polygons nor an RLE'),
        (None, 'missing'),
    ],
    ids=repr,
)
def test_what_is_no_mask_of_the_image_is_refused(mask, message):
    with pytest.raises(ValueError, match=message):
        LazyMasks([mask], 6, 5)


def test_mistakes_are_named():
    masks = LazyMasks([compressed(np.ones((6, 5), np.uint8))], 6, 5)
    with pytest.raises(ValueError, match="'sideways' is not one of"):
        masks.flip('sideways')
    for assigned in (masks, masks.pack()):
        with pytest.raises(ValueError, match=r'of shape .*5, 6\)'):
            assigned.masks = np.ones((1, 5, 6), np.uint8)


def test_large_objects_of_many_corners():
    rng = np.random.default_rng(7)
    theirs, ours = both(rng, (480, 640), [[polygon(rng, 480, 640, 60)] for _ in range(6)])
    for name, arguments in (('flip', ()), ('rescale', ((500, 1333),)), ('crop', (np.array([100, 30, 700, 414]),)),
                            ('rescale', ((800, 1333),))):  # fmt: skip
        theirs, ours = getattr(theirs, name)(*arguments), getattr(ours, name)(*arguments)
    assert_equal(theirs, ours)
