"""Images as they were decoded, of several sizes, to one normalised batch."""

from collections.abc import Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from swin_mmdet.ops.memory_format import memory_format
from swin_mmdet.ops.triton_available import why_not_kernels

Values: TypeAlias = Tensor | None


def normalize_images(
    images: Sequence[Tensor],
    mean: Values,
    std: Values,
    size: tuple[int, int],
    pad_value: float = 0.0,
    reverse_channels: bool = False,
    channels_last: bool = False,
) -> Tensor:
    """(image - mean) / std, then padding at the bottom and on the right: B times [3, h, w] uint8 -> [B, 3, *size].

    The result is float32. Images may have any strides.

    Args:
        mean, std: [1] or [3] float32, for the channels of the result; None: values stay as they are
        size: height and width of the batch, no less than any image's
        reverse_channels: BGR becomes RGB, or the other way round
        channels_last: the result has its channels innermost in memory
    """
    if images[0].is_cuda and why_not_kernels(images[0].device, torch.float32) is None:
        from swin_mmdet.ops.triton_normalize_images import triton_normalize_images

        return triton_normalize_images(images, mean, std, size, pad_value, reverse_channels, channels_last)
    return plain_normalize_images(images, mean, std, size, pad_value, reverse_channels, channels_last)


def plain_normalize_images(
    images: Sequence[Tensor],
    mean: Values,
    std: Values,
    size: tuple[int, int],
    pad_value: float,
    reverse_channels: bool,
    channels_last: bool,
) -> Tensor:
    """The same by torch's operators, which each take memory of their own."""
    batch = images[0].new_empty((len(images), 3, *size), dtype=torch.float32)
    batch = batch.to(memory_format=memory_format(channels_last)).fill_(pad_value)
    for image, padded in zip(images, batch, strict=True):
        values = (image.flip(0) if reverse_channels else image).float()
        if mean is not None and std is not None:
            values = (values - mean.view(-1, 1, 1)) / std.view(-1, 1, 1)
        padded[:, : image.shape[1], : image.shape[2]] = values
    return batch
