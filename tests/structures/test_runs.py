"""Masks moved as runs are those that bitmaps would give."""

import numpy as np
import pytest
from pycocotools import mask as mask_utils

from swin_mmdet.structures.runs import moved, rectangle, rle_of_runs


def encode(mask: np.ndarray) -> dict:
    return mask_utils.encode(np.asfortranarray(mask, np.uint8))


def masks(height: int, width: int) -> dict[str, np.ndarray]:
    random = np.random.default_rng(height * 100 + width)
    return {
        'nothing': np.zeros((height, width), bool),
        'everything': np.ones((height, width), bool),
        'first': np.arange(height * width).reshape(height, width) == 0,
        'last': np.arange(height * width).reshape(height, width) == height * width - 1,
        'noise': random.random((height, width)) > 0.5,
        'columns': np.broadcast_to(np.arange(width) % 2 == 0, (height, width)),
        'rows': np.broadcast_to((np.arange(height) % 2 == 0)[:, None], (height, width)),
    }


@pytest.mark.parametrize('size', [(1, 1), (1, 7), (7, 1), (13, 17)], ids=str)
@pytest.mark.parametrize('place', [(0, 0), (5, 0), (0, 3), (5, 3), (9, 8)], ids=str)
def test_a_mask_is_moved_into_a_larger_image(size: tuple[int, int], place: tuple[int, int]):
    """Also to its borders, where runs of one column go on in the next."""
    (height, width), (left, top) = size, place
    for more in (0, 4):
        for name, mask in masks(height, width).items():
            whole = np.zeros((top + height + more, left + width + more), bool)
            whole[top : top + height, left : left + width] = mask
            assert moved(encode(mask), left, top, *whole.shape) == encode(whole), name
    with pytest.raises(ValueError, match='leaves 20x20'):
        moved(encode(np.ones((13, 17))), 4, 0, 20, 20)


def test_rectangles():
    for box in ((0, 0, 6, 4), (1, 1, 3, 2), (2, 0, 6, 4), (3, 1, 3, 2), (3, 3, 5, 2)):
        left, top, right, bottom = box
        mask = np.zeros((4, 6), bool)
        mask[top:bottom, left:right] = True
        assert rectangle(*box, 4, 6) == encode(mask), box


def test_runs_that_touch_are_one():
    starts, ends = np.array([0, 3, 7]), np.array([3, 5, 10])
    mask = np.zeros(10, bool)
    mask[:5] = mask[7:] = True
    assert rle_of_runs(starts, ends, 5, 2) == encode(mask.reshape(2, 5).T)


def test_more_pixels_than_a_bitmap_could_have():
    """60,000 x 60,000: the mask has 9, and nothing of the size of the image is made."""
    rle = moved(encode(np.ones((3, 3), bool)), 59_000, 59_900, 60_000, 60_000)
    assert mask_utils.area(rle) == 9
    np.testing.assert_array_equal(mask_utils.toBbox(rle), [59_000, 59_900, 3, 3])
