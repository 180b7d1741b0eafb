"""Masks that grow: the kernels against PyTorch's interpolation, and run lengths that come late."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from pycocotools import mask as mask_utils

from swin_mmdet.ops.grown_masks import Growth, grow_masks, plain_grow_masks
from swin_mmdet.ops.mask_runs import LateRuns
from swin_mmdet.ops.to_device import AsyncHostCopy
from swin_mmdet.structures import EncodedMasks
from tests.ops.test_mask_targets import DEVICE


def triton_grow_masks(*arguments):
    pytest.importorskip('triton')
    from swin_mmdet.ops import triton_grown_masks

    return triton_grown_masks.triton_grow_masks(*arguments)


every_way = pytest.mark.parametrize(
    'way', [plain_grow_masks, triton_grow_masks, grow_masks], ids=lambda way: way.__name__
)
# two images of a batch that is padded to 6 x 5, as they were seen, and of other sizes
GROWTHS = {
    'as seen': [Growth((6, 5), (6, 4), (6, 4)), Growth((6, 5), (5, 5), (5, 5))],
    'of other sizes': [Growth((6, 5), (6, 4), (5, 3)), Growth((6, 5), (5, 5), (7, 4))],
}
COUNTS = (2, 1)


def logits():
    """Noise that begins and ends with 1 and fills a column, nothing, and noise for the second image."""
    masks = torch.randn(3, 3, 4, generator=torch.Generator().manual_seed(0))
    masks[0, 0, 0] = masks[0, -1, -1] = 4
    masks[0, :, 2] = 2
    masks[1] = -1
    return masks.to(DEVICE)


def bitmaps_and_sureness(growths):
    """Of each mask."""
    found = []
    for growth, own in zip(growths, logits().split(COUNTS), strict=True):
        large = F.interpolate(own[:, None], growth.padded, mode='bilinear', align_corners=False)
        large = large[..., : growth.seen[0], : growth.seen[1]]
        for mask in F.interpolate(large, growth.size, mode='bilinear', align_corners=False)[:, 0]:
            bits = mask > 0
            found.append((bits.cpu().numpy(), (mask.sigmoid() * bits).sum() / bits.sum().clamp(min=1)))
    return found


@every_way
@pytest.mark.parametrize('name', GROWTHS)
def test_masks_are_those_that_pytorch_interpolates(way, name, monkeypatch):
    if way is triton_grow_masks:
        # of which a column has several, or one
        monkeypatch.setattr('swin_mmdet.ops.triton_grown_masks.ROWS', 4 if name == 'as seen' else 8)
    growths = GROWTHS[name]
    found = way(logits(), growths, COUNTS)
    sizes = [growth.size for growth, count in zip(growths, COUNTS, strict=True) for _ in range(count)]
    for index, (bits, sure) in enumerate(bitmaps_and_sureness(growths)):
        encoded = EncodedMasks.from_runs(found.runs[index : index + 1], *sizes[index])
        assert encoded.rles == [mask_utils.encode(np.asfortranarray(bits.astype(np.uint8)))]
        torch.testing.assert_close(found.sure[index], sure, rtol=1e-5, atol=1e-6)
        columns, rows = (np.flatnonzero(bits.any(axis)) for axis in (0, 1))
        box = [columns[0], rows[0], columns[-1] + 1, rows[-1] + 1] if bits.any() else [0] * 4
        assert found.boxes[index].tolist() == box


def test_run_lengths_are_waited_for_when_they_are_read():
    waited = []
    copy = AsyncHostCopy(torch.tensor([2, 1, 3, -6, 6, -6, 0, 4, 2], dtype=torch.int32))
    wait, copy.wait = copy.wait, lambda: (waited.append(1), wait())[1]
    runs = LateRuns(copy, [(0, 3), (4, 5), (6, 9)])
    masks = EncodedMasks.from_runs(runs, 3, 2)[:3][[2, 0]].cpu()
    assert (len(runs), tuple(masks.shape), waited) == (3, (2, 3, 2), [])
    assert masks.decode().mT.flatten(1).int().tolist() == [[1, 1, 1, 1, 0, 0], [0, 0, 1, 0, 0, 0]]
    assert waited
    assert [list(one) for one in runs] == [[2, 1, 3], [6], [0, 4, 2]]
