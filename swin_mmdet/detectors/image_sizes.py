"""How large the images of a batch are to those who predict boxes in them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swin_mmdet.ops.to_device import to_device
from swin_mmdet.structures import PredictionBatch, static_batch, training_batch


def image_shapes(metas: Sequence[dict], like: Tensor) -> Tensor:
    """Height and width of each image as the model sees it, without padding: [B, 2] float32."""
    batch = static_batch(metas)
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
    batch = static_batch(metas)
    factors = batch.inverse_factors if isinstance(batch, PredictionBatch) else to_device(inverse_factors(metas), boxes)
    return boxes * factors.view(-1, *[1] * (boxes.ndim - 2), 4)


def scale_factors(metas: Sequence[dict]) -> list[list[float]]:
    """Of x, y, x, y of each image: the image as the model sees it to the one it was made of."""
    return [list(meta.get('scale_factor', (1.0, 1.0))) * 2 for meta in metas]


def inverse_factors(metas: Sequence[dict]) -> list[list[float]]:
    """One divided by each of `scale_factors`."""
    return [[1 / factor for factor in factors] for factors in scale_factors(metas)]
