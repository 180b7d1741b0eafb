"""How large the images of a batch are to those who predict boxes in them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swin_mmdet.ops.to_device import to_device
from swin_mmdet.structures import training_batch


def image_shapes(metas: Sequence[dict], like: Tensor) -> Tensor:
    """Height and width of each image as the model sees it, without padding: [B, 2] float32."""
    batch = training_batch(metas)
    if batch is not None:
        return batch.image_sizes
    return to_device([meta['img_shape'][:2] for meta in metas], like, torch.float32)


def pad_shapes(metas: Sequence[dict], like: Tensor) -> Tensor:
    """The same with the padding of the image alone, which is none of the batch's."""
    batch = training_batch(metas)
    if batch is not None:
        return batch.pad_sizes
    return to_device([meta['pad_shape'][:2] for meta in metas], like, torch.float32)


def image_sizes(metas: Sequence[dict], like: Tensor) -> Tensor:
    """Width, height, width, height of each image as the model sees it, without padding: [B, 4] float32."""
    return image_shapes(metas, like).flip(1).repeat(1, 2)


def in_original(boxes: Tensor, metas: Sequence[dict]) -> Tensor:
    """Boxes [B, ..., 4] of images as the model sees them -> of the images as they were before they were resized."""
    factors = to_device([[1 / factor for factor in meta['scale_factor']] * 2 for meta in metas], boxes)
    return boxes * factors.view(-1, *[1] * (boxes.ndim - 2), 4)
