"""Run lengths of pasted masks against mmdet's bitmaps as pycocotools encodes them."""

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmdet.models.roi_heads.mask_heads.fcn_mask_head import _do_paste_mask
from pycocotools import mask as mask_utils

from swin_mmdet.ops.paste_masks import paste_masks

HEIGHT, WIDTH = 61, 83
ODD_BOXES = [
    (0, 0, WIDTH, HEIGHT),
    (10, 0, 30, HEIGHT),  # columns end where the next begin
    (10, -20, 30, HEIGHT + 20),
    (WIDTH - 5, HEIGHT - 7, WIDTH, HEIGHT),
    (-30, -30, 200, 200),
    (3.2, 4.7, 3.9, 5.1),  # inside one pixel
    (3.5, 4.0, 3.5, 30.0),  # no width, on a pixel's centre
    (8.0, 4.0, 8.0, 30.0),
    (8.0, 6.0, 40.0, 6.0),
    (WIDTH, 5, WIDTH, 20),
    (100.0, 5, 120.0, 20),  # not in the image
]


def mmdet_bitmap(mask, box, height, width, threshold, on_gpu):
    bitmap = torch.zeros(height, width, dtype=torch.bool)
    if box[0] < width + 1 and box[1] < height + 1:  # else there is no pixel, and mmdet fails
        pasted, where = _do_paste_mask(mask[None, None], box[None], height, width, skip_empty=not on_gpu)
        bitmap[where] = pasted[0] >= threshold
    return bitmap


def assert_pasted_as_mmdet(masks, boxes, sizes, threshold=0.5, on_gpu=False):
    """Also that the encoding is the one pycocotools writes."""
    runs = paste_masks(masks, boxes, sizes, threshold)
    bitmaps = []
    for index, (height, width) in enumerate(sizes.tolist()):
        bitmap = mmdet_bitmap(masks[index], boxes[index], height, width, threshold, on_gpu)
        rle = mask_utils.frPyObjects(dict(size=[height, width], counts=runs[index]), height, width)
        assert torch.equal(torch.from_numpy(mask_utils.decode(rle)).bool(), bitmap)
        assert rle == mask_utils.encode(np.asfortranarray(bitmap.numpy().astype(np.uint8)))
        bitmaps.append(bitmap)
    return bitmaps


def some_masks(count, size=14, seed=0):
    generator = torch.Generator().manual_seed(seed)
    rough = torch.randn(count, 1, 5, 5, generator=generator) * 4
    return torch.nn.functional.interpolate(rough, (size, size), mode='bilinear')[:, 0].sigmoid()


def some_boxes(count, seed=1):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=generator) * torch.tensor([WIDTH, HEIGHT]) * 1.3 - 8
    corners = corners.sort(dim=1).values.maximum(torch.zeros(())).minimum(torch.tensor([WIDTH, HEIGHT]).float())
    return corners.flatten(1)


def test_the_example_of_the_docstring():
    masks = torch.tensor([[[0.1, 0.9, 0.8], [0.2, 0.6, 0.3]]])
    (runs,) = paste_masks(masks, torch.tensor([[0.0, 0.0, 3.0, 2.0]]), torch.tensor([[2, 3]]), 0.5)
    assert list(runs) == [2, 3, 1]


@pytest.mark.parametrize('at_once', [0, 30_000, 10**9], ids=['one by one', 'in groups', 'all at once'])
def test_masks_are_mmdets(at_once, monkeypatch):
    monkeypatch.setitem(paste_masks.__globals__, 'PIXELS_AT_ONCE_ON_CPU', at_once)
    bitmaps = assert_pasted_as_mmdet(some_masks(40), some_boxes(40), torch.tensor([[HEIGHT, WIDTH]]).expand(40, -1))
    assert sum(bitmap.any() and not bitmap.all() for bitmap in bitmaps) > 20


def test_mmdet_finds_no_more_in_the_whole_image():
    # as it looks for it on a GPU, where a box without an inside becomes lines across the image
    boxes = some_boxes(40)
    boxes = boxes[(boxes[:, 2:] > boxes[:, :2]).all(1)]
    for masks in (some_masks(len(boxes)), torch.ones(len(boxes), 28, 28)):
        assert_pasted_as_mmdet(masks, boxes, torch.tensor([[99, 99]]).expand(len(boxes), -1), on_gpu=True)
    assert len(boxes) > 30


@pytest.mark.parametrize('threshold', [0.5, 0.7])
@pytest.mark.parametrize('box', ODD_BOXES)
@pytest.mark.parametrize('filling', ['full', 'empty', 'blob'])
def test_odd_boxes(box, filling, threshold):
    masks = {'full': torch.ones(1, 28, 28), 'empty': torch.zeros(1, 28, 28), 'blob': some_masks(1, 28)}[filling]
    assert_pasted_as_mmdet(masks, torch.tensor([box]).float(), torch.tensor([[HEIGHT, WIDTH]]), threshold)


def test_odd_boxes_share_a_batch(monkeypatch):
    monkeypatch.setitem(paste_masks.__globals__, 'PIXELS_AT_ONCE_ON_CPU', 10**9)
    boxes = torch.tensor(ODD_BOXES).float()
    assert_pasted_as_mmdet(torch.ones(len(boxes), 28, 28), boxes, torch.tensor([[HEIGHT, WIDTH]]).expand(len(boxes), 2))


def test_images_of_different_sizes_share_a_batch(monkeypatch):
    monkeypatch.setitem(paste_masks.__globals__, 'PIXELS_AT_ONCE_ON_CPU', 10**9)
    sizes = torch.tensor([[HEIGHT, WIDTH], [40, 90], [1, 1], [HEIGHT + 20, 30]]).repeat_interleave(5, dim=0)
    assert_pasted_as_mmdet(some_masks(20), some_boxes(20), sizes)


def test_no_masks():
    assert paste_masks(torch.zeros(0, 28, 28), torch.zeros(0, 4), torch.zeros(0, 2, dtype=torch.long), 0.5) == []
