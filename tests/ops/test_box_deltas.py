"""Coding of boxes against mmdet's own, bit by bit."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
pytest.importorskip('mmdet')
from mmdet.models.task_modules import DeltaXYWHBBoxCoder

from swin_mmdet.ops.box_deltas import clip_boxes, decode_boxes, encode_boxes
from swin_mmdet.ops.to_device import constant, to_device

MEANS, STDS = (0.0, 0.1, 0.0, -0.2), (0.1, 0.1, 0.2, 0.2)


def boxes(count, seed):
    corners = torch.rand(count, 2, 2, generator=torch.Generator().manual_seed(seed)) * 90
    return torch.cat([corners.amin(1), corners.amax(1) + 1], 1)


def wild_deltas(count, seed=2):
    """Beyond what is clamped, both ways."""
    return torch.randn(count, 4, generator=torch.Generator().manual_seed(seed)) * 40


@pytest.mark.parametrize('count', [0, 1, 50])
def test_encoding_is_that_of_mmdet(count):
    priors, objects = boxes(count, 0), boxes(count, 1)
    expected = DeltaXYWHBBoxCoder(MEANS, STDS).encode(priors, objects)
    assert torch.equal(encode_boxes(priors, objects, MEANS, STDS), expected)


@pytest.mark.parametrize('most', [None, 5.0])
@pytest.mark.parametrize('count', [0, 1, 50])
def test_decoding_is_that_of_mmdet(count, most):
    coder = DeltaXYWHBBoxCoder(MEANS, STDS, add_ctr_clamp=most is not None, ctr_clamp=most or 0)
    priors = boxes(count, 0)
    for deltas in (coder.encode(priors, boxes(count, 1)), wild_deltas(count)):
        assert torch.equal(decode_boxes(priors, deltas, MEANS, STDS, most), coder.decode(priors, deltas))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_deltas_of_few_bits_are_decoded_in_float32(dtype):
    priors, deltas = boxes(50, 0), wild_deltas(50).to(dtype)
    expected = DeltaXYWHBBoxCoder(MEANS, STDS).decode(priors, deltas.float())
    assert torch.equal(decode_boxes(priors, deltas, MEANS, STDS), expected)


def test_a_box_is_decoded_for_each_class():
    priors, deltas = boxes(7, 0), wild_deltas(21)
    expected = DeltaXYWHBBoxCoder(MEANS, STDS).decode(priors, deltas.view(7, 12))
    assert torch.equal(decode_boxes(priors[:, None], deltas.view(7, 3, 4), MEANS, STDS), expected.view(7, 3, 4))


def test_boxes_are_clipped_to_the_image_they_are_of():
    coder, priors, deltas = DeltaXYWHBBoxCoder(MEANS, STDS), boxes(50, 0), wild_deltas(50)
    shapes = (60, 80), (40, 30)
    clipped = clip_boxes(decode_boxes(priors, deltas, MEANS, STDS).view(2, 25, 4), torch.tensor(shapes))
    for box, change, shape, one in zip(priors.chunk(2), deltas.chunk(2), shapes, clipped, strict=True):
        assert torch.equal(one, coder.decode(box, change, max_shape=shape))


def test_boxes_come_back():
    priors, objects = boxes(50, 0), boxes(50, 1)
    back = decode_boxes(priors, encode_boxes(priors, objects, MEANS, STDS), MEANS, STDS)
    torch.testing.assert_close(back, objects, rtol=1e-5, atol=1e-4)


def test_a_constant_made_in_inference_can_be_trained_with():
    constant.cache_clear()
    with torch.inference_mode():
        made = constant(STDS, torch.device('cpu'))
    weight = torch.ones(4, requires_grad=True)
    (weight * made).sum().backward()
    assert torch.equal(weight.grad, torch.tensor(STDS))
    assert constant(STDS, torch.device('cpu')) is made


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
@pytest.mark.parametrize('values', [[], [3, 1], [[1, 2], [3, 4]]], ids=str)
def test_numbers_reach_a_gpu_without_waiting_for_it(values):
    like = torch.zeros(1, device='cuda')
    to_device([0], like)  # the first pinned memory
    torch.cuda.set_sync_debug_mode('error')
    try:
        moved = to_device(values, like, torch.int64)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert moved.is_cuda
    assert moved.dtype == torch.int64
    assert moved.tolist() == values
