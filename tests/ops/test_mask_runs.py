"""Run lengths and boxes of masks against pycocotools and mmdet."""

import numpy as np
import pytest
import torch
from pycocotools import mask as mask_utils

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.structures.mask import mask2bbox

from swin_mmdet.ops.mask_runs import boxes_of_masks, changes_in_columns
from swin_mmdet.ops.paste_masks import runs_between
from swin_mmdet.structures import EncodedMasks
from tests.ops.test_mask_targets import DEVICE, bitmaps


@pytest.mark.parametrize('chosen', [range(11), [7], [1, 7, 1], []], ids=str)
def test_run_lengths_are_those_of_pycocotools(chosen):
    masks = bitmaps()[list(chosen)]
    bits = torch.from_numpy(masks.masks).bool().to(DEVICE)
    instance, place = changes_in_columns(bits)
    pixels = masks.height * masks.width
    start = torch.arange(len(bits) + 1, device=DEVICE) * pixels
    runs = runs_between(instance, place + instance * pixels, start)
    found = EncodedMasks.from_runs(runs, masks.height, masks.width).rles
    assert found == [mask_utils.encode(np.asfortranarray(mask)) for mask in masks.masks]


def test_boxes_are_those_of_mmdet():
    bits = torch.from_numpy(bitmaps().masks).bool().to(DEVICE)
    torch.testing.assert_close(boxes_of_masks(bits), mask2bbox(bits))
    assert boxes_of_masks(bits[:0]).shape == (0, 4)
