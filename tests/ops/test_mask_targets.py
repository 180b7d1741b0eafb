"""Mask targets from packed bits are those that mmdet crops from bitmaps; not one bit may differ."""

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.structures.mask import BitmapMasks

from swin_mmdet.ops.mask_targets import mask_targets, plain_mask_targets, unpack_masks
from swin_mmdet.structures import PackedMasks

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
HEIGHT, WIDTH = 44, 53


def triton_mask_targets(*arguments):
    pytest.importorskip('triton')
    from swin_mmdet.ops.triton_mask_targets import triton_mask_targets

    return triton_mask_targets(*arguments)


ways = pytest.mark.parametrize('way', [plain_mask_targets, triton_mask_targets, mask_targets], ids=lambda w: w.__name__)


def bitmaps(height=HEIGHT, width=WIDTH):
    """Noise, everything, rectangles within and at the border, stripes, a triangle, nothing: more than fit at once."""
    rng = np.random.default_rng(0)
    masks = np.zeros((11, height, width), np.uint8)
    masks[0] = rng.integers(0, 2, (height, width))
    masks[1] = 1
    masks[2, 10:30, 7:25] = 1
    masks[3, :, -9:] = 1
    masks[4, -8:] = 1
    masks[5, ::2] = 1
    masks[6] = np.tri(height, width)
    masks[8, 20, 31] = 1
    masks[9, 5:40:3, 2:50:5] = 1
    masks[10] = rng.random((height, width)) < 0.1
    return BitmapMasks(masks, height, width)


def random_rois(rng, count):
    """Within and around the image, most with x1 < x2 and y1 < y2."""
    corner = rng.uniform(-6, 1, (count, 2)) + rng.uniform(0, 1, (count, 2)) * (WIDTH, HEIGHT)
    return np.concatenate([corner, corner + rng.uniform(-1, 40, (count, 2))], axis=1)


def adversarial_rois():
    """Integers and halves, where a cell is often covered by exactly a half; degenerate ones; far and huge ones."""
    rng = np.random.default_rng(1)
    whole = np.sort(rng.integers(0, 45, (16, 2, 2)), axis=1).reshape(-1, 4)
    special = [
        [0, 0, WIDTH, HEIGHT],
        [0, 0, WIDTH - 1, HEIGHT - 1],
        [7, 10, 25, 30],
        [7, 10, 35, 38],
        [10, 10, 10, 10],
        [10, 10, 10.25, 30],
        [30, 30, 10, 5],
        [-40, -40, -10, -10],
        [WIDTH, HEIGHT, WIDTH + 9, HEIGHT + 9],
        [WIDTH - 0.5, 3, WIDTH + 0.5, 20],
        [-1, -1, 1, 1],
        [-2.5, -2.5, 60, 60],
        [-60, -50, 110, 95],
    ]
    return np.concatenate([whole, whole / 2, special])


def cases(rois, count):
    """Each RoI for each of the first objects."""
    rois = torch.tensor(rois, dtype=torch.float32).repeat(count, 1)
    return torch.arange(count).repeat_interleave(len(rois) // count), rois


def assert_like_mmdet(way, bitmap, objects, rois, size):
    packed = PackedMasks.from_bitmap(bitmap).to(DEVICE)
    objects, rois = objects.to(DEVICE), rois.to(DEVICE)
    expected = bitmap.crop_and_resize(rois, (size, size), objects, DEVICE).masks
    result = way(packed.bits, packed.starts, packed.boxes, objects, rois, size, (bitmap.height, bitmap.width))
    assert result.dtype == torch.float32
    assert result.shape == (len(rois), size, size)
    differing = result.cpu() != torch.from_numpy(expected)
    assert not differing.any(), f'{differing.sum()} of {differing.numel()} bits at RoIs {differing.any(-1).any(-1)}'
    return expected


@ways
@pytest.mark.parametrize('size', [pytest.param(28, marks=[pytest.mark.long] * (DEVICE == 'cpu')), 9])
def test_random_rois(way, size):
    expected = assert_like_mmdet(way, bitmaps(), *cases(random_rois(np.random.default_rng(0), 3), 11), size)
    assert 0.05 < expected.mean() < 0.95


@pytest.mark.parametrize(
    'way',
    # the interpreter takes half a minute
    [plain_mask_targets, pytest.param(triton_mask_targets, marks=[pytest.mark.long] * (DEVICE == 'cpu')), mask_targets],
    ids=lambda way: way.__name__,
)
def test_adversarial_rois(way):
    # noise, everything, a rectangle
    assert_like_mmdet(way, bitmaps(), *cases(adversarial_rois(), 3), 14)


@ways
def test_rois_that_end_before_they_start_cover_nothing(way):
    packed = PackedMasks.from_bitmap(bitmaps()).to(DEVICE)
    # torchvision refuses the first two on a CPU
    rois = torch.tensor([[30.0, 5, 10, 30], [5, 30, 30, 10], [30, 30, 10, 5], [5, 5, 30, 30]], device=DEVICE)
    objects = torch.ones(4, dtype=torch.int64, device=DEVICE)
    result = way(packed.bits, packed.starts, packed.boxes, objects, rois, 14, (HEIGHT, WIDTH))
    assert result.sum((1, 2)).tolist() == [0, 0, 0, 14 * 14]


@ways
def test_cells_covered_by_a_half(way):
    bitmap = bitmaps()
    objects, rois = cases([[1, 1, 29, 29], [0, 1, 28, 29], [2, 0, 16, 14], [7, 3, 49, 31]], 11)
    covered = torch.from_numpy(bitmap.crop_and_resize(rois, (14, 14), objects, 'cpu', binarize=False).masks)
    assert (covered == 0.5).sum() > 100
    assert_like_mmdet(way, bitmap, objects, rois, 14)


@ways
def test_padding_of_the_image_counts_as_in_mmdet(way):
    objects, rois = cases([[30, 20, WIDTH, HEIGHT], [WIDTH - 3, HEIGHT - 3, WIDTH, HEIGHT]], 5)
    assert_like_mmdet(way, bitmaps(), objects, rois, 28)
    assert_like_mmdet(way, bitmaps().pad((64, 64)), objects, rois, 28)


@ways
def test_a_mask_of_one_pixel(way):
    bitmap = BitmapMasks(np.ones((1, 1, 1), np.uint8), 1, 1)
    assert_like_mmdet(way, bitmap, *cases([[0, 0, 1, 1], [-1, -1, 2, 2], [0.5, 0.5, 0.75, 3]], 1), 7)


@ways
def test_rois_in_any_order_of_objects(way):
    rng = np.random.default_rng(2)
    rois = torch.tensor(random_rois(rng, 20), dtype=torch.float32)
    assert_like_mmdet(way, bitmaps(), torch.from_numpy(rng.integers(0, 11, 20)), rois, 7)


@ways
def test_no_rois_and_no_objects(way):
    packed = PackedMasks.from_bitmap(bitmaps())
    for masks in (packed, packed[:0]):
        empty = torch.empty(0, dtype=torch.int64, device=DEVICE), torch.empty(0, 4, device=DEVICE)
        result = way(*(x.to(DEVICE) for x in (masks.bits, masks.starts, masks.boxes)), *empty, 28, (HEIGHT, WIDTH))
        assert result.shape == (0, 28, 28)


def test_rois_of_half_precision_are_taken():
    packed = PackedMasks.from_bitmap(bitmaps())
    rois = torch.tensor([[3.0, 4.5, 20.0, 31.0]])
    half, single = (
        mask_targets(packed.bits, packed.starts, packed.boxes, torch.tensor([2]), boxes, 28, (HEIGHT, WIDTH))
        for boxes in (rois.half(), rois)
    )
    assert torch.equal(half, single)


def test_unpacking_gives_the_bitmaps():
    bitmap = bitmaps()
    packed = PackedMasks.from_bitmap(bitmap)
    unpacked = unpack_masks(packed.bits, packed.starts, packed.boxes, (HEIGHT, WIDTH))
    np.testing.assert_array_equal(unpacked.numpy(), bitmap.masks)
