"""Decoded boxes against mmdet's coder, bit by bit."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder

from swin_mmdet.ops.decode_boxes import decode_boxes

MEANS, STDS = (0.1, 0.0, -0.2, 0.0), (0.1, 0.1, 0.2, 0.2)


@pytest.mark.parametrize('count', [0, 1, 100])
def test_boxes_are_mmdets(count):
    torch.manual_seed(0)
    corner = torch.rand(count, 2) * 500
    boxes = torch.cat((corner, corner + torch.rand(count, 2) * 300), dim=1)
    # sizes beyond what is clamped, both ways
    deltas = torch.randn(count, 3, 4) * 10
    decoded = decode_boxes(boxes[:, None], deltas, MEANS, STDS)
    expected = DeltaXYWHBBoxCoder(MEANS, STDS).decode(boxes, deltas.flatten(1))
    assert torch.equal(decoded, expected.view(count, 3, 4))
