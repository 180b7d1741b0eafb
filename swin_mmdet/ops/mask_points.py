"""True masks at points (arXiv 1912.08193): sampled where they are asked for, without a map of an image for each.

Points are (x, y) in shares of the image, 0 to 1. A mask is 0 beside its image, and between centers of pixels what is
bilinear of the four around, by the operations of `F.grid_sample` without aligned corners.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from swin_mmdet.ops.triton_available import why_not_kernels

# points that the plain version takes at once, at 100 bytes or so
POINTS_AT_ONCE = 2**22


def sample_masks(
    bits: Tensor, starts: Tensor, boxes: Tensor, image_size: tuple[int, int], objects: Tensor, points: Tensor,
    rows: Tensor | None = None,
) -> Tensor:
    """The masks of N objects at P points each: [N, P] float32.

    Args:
        bits, starts, boxes: masks of G objects as `PackedMasks` holds them: uint8 [n], int64 [G], int32 [G, 4]
        image_size: height and width of the masks
        objects: [N] int64; one of -1 is 0 everywhere
        points: [R, P, 2] float32
        rows: [N] int64, which of the R rows of points each is sampled at; without it row n
    """  # fmt: skip
    rows = torch.arange(len(objects), device=objects.device) if rows is None else rows
    if points.is_cuda and why_not_kernels(points.device, points.dtype) is None:
        from swin_mmdet.ops.triton_mask_points import triton_sample_masks

        return triton_sample_masks(bits, starts, boxes, image_size, objects, points, rows)
    return plain_sample_masks(bits, starts, boxes, image_size, objects, points, rows)


def sample_labels(maps: Tensor, images: Tensor, labels: Tensor, points: Tensor, rows: Tensor | None = None) -> Tensor:
    """The same of masks that are where a map [B, H, W] of integers has a label: those of `images` [N], `labels` [N].

    One of an image of -1 is 0 everywhere.
    """
    rows = torch.arange(len(images), device=images.device) if rows is None else rows
    if points.is_cuda and why_not_kernels(points.device, points.dtype) is None:
        from swin_mmdet.ops.triton_mask_points import triton_sample_labels

        return triton_sample_labels(maps, images, labels, points, rows)
    return plain_sample_labels(maps, images, labels, points, rows)


def plain_sample_masks(
    bits: Tensor, starts: Tensor, boxes: Tensor, image_size: tuple[int, int], objects: Tensor, points: Tensor,
    rows: Tensor,
) -> Tensor:  # fmt: skip
    """As `sample_masks`, some objects at a time."""
    if not len(bits):
        return points.new_zeros(len(objects), points.shape[1])
    # one more, of which there is nothing, is that of -1
    starts = torch.cat([starts, starts.new_zeros(1)])
    boxes = torch.cat([boxes, boxes.new_zeros(1, 4)]).long()

    def at(chosen: Tensor, y: Tensor, x: Tensor) -> Tensor:
        chosen = objects[chosen]
        left, top, width, height = boxes[chosen][:, :, None].unbind(1)
        x, y = x - left, y - top
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height)
        index = starts[chosen][:, None] + y * ((width + 7) // 8) + x // 8
        return ((bits[index.where(inside, 0)] >> (x & 7).to(torch.uint8)) & 1).bool() & inside

    return _bilinear(at, image_size, points, rows)


def plain_sample_labels(maps: Tensor, images: Tensor, labels: Tensor, points: Tensor, rows: Tensor) -> Tensor:
    """As `sample_labels`, some masks at a time."""
    height, width = maps.shape[1:]

    def at(chosen: Tensor, y: Tensor, x: Tensor) -> Tensor:
        image = images[chosen][:, None]
        inside = (x >= 0) & (x < width) & (y >= 0) & (y < height) & (image >= 0)
        index = (image * height + y) * width + x
        return (maps.flatten()[index.where(inside, 0)] == labels[chosen][:, None]) & inside

    return _bilinear(at, (height, width), points, rows)


def _bilinear(
    at: Callable[[Tensor, Tensor, Tensor], Tensor], image_size: tuple[int, int], points: Tensor, rows: Tensor
) -> Tensor:
    """Of masks that `at(numbers [n], rows [n, P], columns [n, P])` says are 0 or 1 at whole pixels."""
    sampled = points.new_empty(len(rows), points.shape[1], dtype=torch.float32)
    numbers = torch.arange(len(rows), device=rows.device)
    for part, into in zip(*(x.split(max(1, POINTS_AT_ONCE // max(1, points.shape[1]))) for x in (numbers, sampled))):
        x, y = (_pixels(points[rows[part], :, axis], image_size[1 - axis]) for axis in (0, 1))
        left, top = x.floor(), y.floor()
        right, down = x - left, y - top
        left, top = left.long(), top.long()
        into.copy_(at(part, top, left) * ((1 - right) * (1 - down)))
        into += at(part, top, left + 1) * (right * (1 - down))
        into += at(part, top + 1, left) * ((1 - right) * down)
        into += at(part, top + 1, left + 1) * (right * down)
    return sampled


def _pixels(shares: Tensor, length: int) -> Tensor:
    """Where points lie along an axis, the center of the first pixel at 0; rounded as mmcv and PyTorch do it."""
    return ((shares * 2 - 1 + 1) * length - 1) / 2


def sample_features(features: Tensor, points: Tensor) -> Tensor:
    """Bilinear of maps [B, C, H, W] at points [S, B, P, 2]: [S, B, P, C]; without gradients.

    What is linear in the features can be sampled so: each of many maps that are products of them costs no sampling.
    """
    batch, channels, height, width = features.shape
    with torch.no_grad():
        x, y = _pixels(points[..., 0], width), _pixels(points[..., 1], height)
        left, top = x.floor(), y.floor()
        right, down = x - left, y - top
        # of each corner the index and the weight, which is nothing beside the map
        columns, rows = (torch.stack([one, one + 1], -1) for one in (left, top))
        across = torch.stack([1 - right, right], -1) * ((columns >= 0) & (columns < width))
        along = torch.stack([1 - down, down], -1) * ((rows >= 0) & (rows < height))
        images = torch.arange(batch, device=features.device)[:, None, None] * height
        rows = rows.clamp(0, height - 1).long() + images
        indices = rows[..., None] * width + columns.clamp(0, width - 1).long()[..., None, :]
        weights = (along[..., None] * across[..., None, :]).to(features.dtype)
        sampled = torch.nn.functional.embedding_bag(
            indices.view(-1, 4),
            features.permute(0, 2, 3, 1).reshape(-1, channels),
            mode='sum',
            per_sample_weights=weights.view(-1, 4),
        )
        return sampled.view(*points.shape[:-1], channels)
