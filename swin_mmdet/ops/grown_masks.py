"""Predicted masks that grow to their images and become run lengths on the way, as MaskFormer's are."""

from collections.abc import Sequence
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.mask_runs import boxes_of_masks, changes_in_columns
from swin_mmdet.ops.paste_masks import runs_between
from swin_mmdet.ops.to_device import to_device
from swin_mmdet.ops.triton_available import why_not_kernels

# pixels of masks that the plain version makes at once, at 20 bytes or so
PIXELS_AT_ONCE = 2**25
# of a sum of pixels that is divided by, as in mmdet
LEAST = 1e-6


class Growth(NamedTuple):
    """How the masks of an image grow: heights and widths."""

    padded: tuple[int, int]  # of the batch: to this size at first
    seen: tuple[int, int]  # without padding
    size: tuple[int, int]  # and from there to this one


class GrownMasks(NamedTuple):
    """N masks, whose pixels are those with a logit above 0."""

    sure: Tensor  # [N] float32: the mean probability of their pixels
    boxes: Tensor  # [N, 4] float32 as of `boxes_of_masks`
    runs: Sequence[Sequence[int]]  # lengths of runs of 0, 1, 0, ... in columns from the left


def grow_masks(masks: Tensor, growths: Sequence[Growth], counts: Sequence[int]) -> GrownMasks:
    """Logits [N, h, w] of images that have so many each; each image's grow by its `Growth`, bilinearly.

    A GPU is waited for once, to learn how many runs there are; they themselves come later.
    """
    if masks.is_cuda and why_not_kernels(masks.device, masks.dtype) is None and len(masks):
        from swin_mmdet.ops.triton_grown_masks import triton_grow_masks

        return triton_grow_masks(masks, growths, counts)
    return plain_grow_masks(masks, growths, counts)


def plain_grow_masks(masks: Tensor, growths: Sequence[Growth], counts: Sequence[int]) -> GrownMasks:
    """As `grow_masks`, some masks at a time."""
    parts, changes, starts = [], [], [0]
    for growth, own in zip(growths, masks.split(list(counts)), strict=True):
        height, width = growth.size
        most = max(height * width, growth.padded[0] * growth.padded[1])
        for part in own.split(max(1, PIXELS_AT_ONCE // most)):
            part = grown(part, growth)
            bits = part > 0
            sure = (part.sigmoid() * bits).flatten(1).sum(1) / (bits.flatten(1).sum(1) + LEAST)
            parts.append((sure, boxes_of_masks(bits)))
            instance, index = changes_in_columns(bits)
            first = len(starts) - 1
            changes.append((instance + first, index + instance * (height * width) + starts[-1]))
            starts += [starts[-1] + (number + 1) * height * width for number in range(len(bits))]
    sure, boxes = (torch.cat(one) for one in zip(*parts, strict=True))
    instance, index = (torch.cat(one) for one in zip(*changes, strict=True))
    return GrownMasks(sure, boxes, runs_between(instance, index, to_device(starts, index)))


def grown(masks: Tensor, growth: Growth) -> Tensor:
    """Logits [n, h, w] -> [n, H, W] float32."""
    masks = resized(masks[None].float(), growth.padded)[..., : growth.seen[0], : growth.seen[1]]
    return resized(masks, growth.size)[0]


def resized(masks: Tensor, size: tuple[int, int]) -> Tensor:
    """[B, n, H, W] bilinear to (height, width)."""
    if tuple(masks.shape[-2:]) == size or not masks.shape[1]:
        return masks if masks.shape[1] else masks.new_empty(*masks.shape[:2], *size)
    return F.interpolate(masks, size, mode='bilinear', align_corners=False)
