"""Coding of boxes against mmdet's own."""

import pytest
import torch

from swin_mmdet.ops.box_deltas import clip_boxes, decode_boxes, encode_boxes

import swin_mmdet.compat  # isort: skip  # noqa: F401

MEANS, STDS = (0.0, 0.1, 0.0, -0.2), (0.1, 0.1, 0.2, 0.2)


def boxes(count, seed):
    corners = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(seed)) * 90
    return torch.cat([corners.amin(1), corners.amax(1) + 1], 1)


@pytest.mark.parametrize('most', [None, 5.0])
def test_coding_is_that_of_mmdet(most):
    from mmdet.models.task_modules import DeltaXYWHBBoxCoder

    coder = DeltaXYWHBBoxCoder(MEANS, STDS, add_ctr_clamp=most is not None, ctr_clamp=most or 0)
    priors, objects = boxes(50, 0), boxes(50, 1)
    deltas = coder.encode(priors, objects)
    torch.testing.assert_close(encode_boxes(priors, objects, MEANS, STDS), deltas, rtol=0, atol=0)
    wild = torch.randn(50, 4, generator=torch.Generator().manual_seed(2)) * 40
    for given in (deltas, wild):
        found = decode_boxes(priors, given, MEANS, STDS, most)
        torch.testing.assert_close(found, coder.decode(priors, given), rtol=1e-6, atol=1e-5)
        clipped = clip_boxes(found.view(2, 25, 4), torch.tensor([[60, 80], [40, 30]]))
        shapes = (60, 80), (40, 30)
        for box, change, shape, one in zip(priors.chunk(2), given.chunk(2), shapes, clipped, strict=True):
            torch.testing.assert_close(one, coder.decode(box, change, max_shape=shape), rtol=1e-6, atol=1e-5)


def test_boxes_come_back():
    priors, objects = boxes(50, 0), boxes(50, 1)
    back = decode_boxes(priors, encode_boxes(priors, objects, MEANS, STDS), MEANS, STDS)
    torch.testing.assert_close(back, objects, rtol=1e-5, atol=1e-4)
