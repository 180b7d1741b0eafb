"""True masks at points are what mmcv samples from bitmaps."""

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmcv.ops import point_sample

from swin_mmdet.ops.mask_points import (
    plain_sample_labels,
    plain_sample_masks,
    sample_features,
    sample_labels,
    sample_masks,
)
from swin_mmdet.structures import PackedMasks
from tests.ops.test_mask_targets import DEVICE, HEIGHT, WIDTH, bitmaps


def triton_sample_masks(*arguments):
    pytest.importorskip('triton')
    from swin_mmdet.ops.triton_mask_points import triton_sample_masks

    return triton_sample_masks(*arguments)


def triton_sample_labels(*arguments):
    pytest.importorskip('triton')
    from swin_mmdet.ops.triton_mask_points import triton_sample_labels

    return triton_sample_labels(*arguments)


of_masks = pytest.mark.parametrize(
    'way', [plain_sample_masks, triton_sample_masks, sample_masks], ids=lambda way: way.__name__
)
of_labels = pytest.mark.parametrize(
    'way', [plain_sample_labels, triton_sample_labels, sample_labels], ids=lambda way: way.__name__
)


def points(count):
    """Random ones, centers of pixels, their corners, the image's corners, beyond it: [count, P, 2]."""
    rng = np.random.default_rng(0)
    random = rng.uniform(-0.1, 1.1, (count, 700, 2))
    corners = rng.integers(0, (WIDTH + 1, HEIGHT + 1), (count, 100, 2)) / (WIDTH, HEIGHT)
    centers = (rng.integers(0, (WIDTH, HEIGHT), (count, 100, 2)) + 0.5) / (WIDTH, HEIGHT)
    ends = np.array([[0, 0], [1, 1], [0, 1], [1, 0], [-0.5, 0.5], [2, 0.5]])[None].repeat(count, 0)
    return torch.from_numpy(np.concatenate([random, corners, centers, ends], 1)).float().to(DEVICE)


def expected_at(masks, where):
    return point_sample(torch.as_tensor(masks).to(DEVICE).float()[:, None], where)[:, 0]


def packed_parts(masks):
    packed = PackedMasks.from_bitmap(masks).to(DEVICE)
    return packed.bits, packed.starts, packed.boxes, (masks.height, masks.width)


@of_masks
def test_masks_of_objects(way):
    masks = bitmaps()
    objects = torch.arange(11, device=DEVICE)
    found = way(*packed_parts(masks), objects, points(11), objects)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected_at(masks.masks, points(11)), rtol=0, atol=1e-5)
    assert 0.1 < found.mean() < 0.9


@of_masks
def test_objects_and_rows_of_points_in_any_order_and_none(way):
    masks = bitmaps()
    rng = np.random.default_rng(1)
    objects, rows = (torch.from_numpy(rng.integers(low, high, 20)).to(DEVICE) for low, high in ((-1, 11), (0, 4)))
    objects[:2] = -1
    found = way(*packed_parts(masks), objects, points(4), rows)
    expected = expected_at(masks.masks[objects.cpu()], points(4)[rows])
    expected[objects < 0] = 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert not found[:2].any()


@of_masks
def test_no_objects_and_masks_without_a_pixel(way):
    masks = bitmaps()[[7, 7]]
    assert not masks.masks.any()
    none = torch.empty(0, dtype=torch.int64, device=DEVICE)
    assert way(*packed_parts(masks), none, points(1), none).shape == (0, 906)
    numbers = torch.arange(2, device=DEVICE)
    assert not way(*packed_parts(masks), numbers, points(2), numbers).any()


def test_some_objects_at_a_time_are_those_at_once(monkeypatch):
    arguments = *packed_parts(bitmaps()), torch.arange(11, device=DEVICE), points(11), torch.arange(11, device=DEVICE)
    whole = plain_sample_masks(*arguments)
    monkeypatch.setattr('swin_mmdet.ops.mask_points.POINTS_AT_ONCE', 2000)
    assert torch.equal(plain_sample_masks(*arguments), whole)


@of_labels
@pytest.mark.parametrize('dtype', [torch.uint8, torch.int64], ids=str)
def test_masks_of_labels(way, dtype):
    rng = np.random.default_rng(2)
    maps = torch.from_numpy(rng.integers(0, 5, (3, HEIGHT, WIDTH))).to(DEVICE, dtype)
    images = torch.tensor([0, 2, 1, -1, 2], device=DEVICE)
    labels = torch.tensor([4, 0, 3, 1, 2], device=DEVICE)
    rows = torch.tensor([1, 0, 0, 1, 2], device=DEVICE)
    found = way(maps, images, labels, points(3), rows)
    expected = expected_at(maps[images] == labels[:, None, None], points(3)[rows])
    expected[3] = 0
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-5)
    assert found[4].any()


@pytest.mark.parametrize('layout', [torch.contiguous_format, torch.channels_last], ids=str)
def test_features_at_points(layout):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, 9, 14, generator=generator).to(DEVICE).to(memory_format=layout)
    where = points(6).view(3, 2, -1, 2)
    expected = torch.stack([point_sample(features, layer).mT for layer in where])
    torch.testing.assert_close(sample_features(features, where), expected, rtol=0, atol=1e-5)
