"""Overlaps of boxes against mmdet's, and by hand."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_overlaps, bbox_xyxy_to_cxcywh

from swin_mmdet.ops.box_overlaps import KINDS, centers_of, corners_of, overlaps


def boxes(count, seed):
    generator = torch.Generator().manual_seed(seed)
    corners = torch.rand(count, 2, 2, generator=generator, dtype=torch.float64) * 50
    found = torch.cat([corners.amin(1), corners.amax(1)], 1)
    found[0, 2:] = found[0, :2]  # without a size
    return found.requires_grad_()


@pytest.mark.parametrize('eps', [1e-6, 3.0])
@pytest.mark.parametrize('kind', KINDS)
def test_they_are_mmdets_with_their_gradients(kind, eps):
    one, other = boxes(7, 0), boxes(5, 1)
    found = overlaps(one[:, None], other, kind, eps)
    expected = bbox_overlaps(one, other, kind, eps=eps)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    pair = one[:5], other
    aligned = overlaps(*pair, kind, eps)
    torch.testing.assert_close(aligned, bbox_overlaps(*pair, kind, is_aligned=True, eps=eps), rtol=1e-12, atol=1e-12)
    weight = torch.arange(35.0, dtype=torch.float64).view(7, 5)
    gradients = [torch.autograd.grad((x * weight).sum(), (one, other)) for x in (found, expected)]
    for own, theirs in zip(*gradients, strict=True):
        # at a box without a size the gradient is any of two sides'
        torch.testing.assert_close(own[1:], theirs[1:], rtol=1e-10, atol=1e-12)


def test_by_hand():
    one = torch.tensor([0.0, 0, 2, 2])
    other = torch.tensor([1.0, 0, 3, 2])
    assert overlaps(one, other).item() == pytest.approx(2 / 6)
    assert overlaps(one, other, 'iof').item() == pytest.approx(2 / 4)
    assert overlaps(one, other + 10, 'giou').item() == pytest.approx(-(13 * 12 - 8) / (13 * 12))


def test_corners_and_centers_are_mmdets():
    given = boxes(6, 2)
    torch.testing.assert_close(centers_of(given), bbox_xyxy_to_cxcywh(given))
    torch.testing.assert_close(corners_of(given), bbox_cxcywh_to_xyxy(given))
    torch.testing.assert_close(corners_of(centers_of(given)), given)
