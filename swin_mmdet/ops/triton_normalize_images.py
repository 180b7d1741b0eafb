"""Images as they were decoded, of several sizes, to one normalised batch: bytes are read once, floats written once.

Arguments of the kernel, which takes one image, in their order:

    image                         [3, height, width] uint8 of any strides
    mean, std                     [3] float32; not read unless HAS_MEAN
    padded                        [3, padded height, padded_width] float32 of any strides
    height, width                 of the image
    stride_channel, _y, _x        of the image
    padded_width                  of the result; its height is that of the grid
    padded_channel, _y, _x        the result's strides
    pad_value                     of the result where there is no image

    HAS_MEAN                      normalises; else bytes only become floats
    REVERSE                       the order of channels
    COLUMNS                       of a program, which has one row
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor

from swin_mmdet.ops.memory_format import memory_format
from swin_mmdet.ops.triton_fast_launch import fast_launch, on_device_of

COLUMNS = 512


@fast_launch
@triton.jit(
    do_not_specialize=[
        *('height', 'width', 'stride_channel', 'stride_y'),
        *('padded_width', 'padded_channel', 'padded_y', 'pad_value'),
    ]
)
def normalize_kernel(
    image, mean, std, padded, height, width, stride_channel, stride_y, stride_x, padded_width, padded_channel, padded_y,
    padded_x, pad_value, HAS_MEAN: tl.constexpr, REVERSE: tl.constexpr, COLUMNS: tl.constexpr,
):  # fmt: skip
    """padded[c, y, x] = (image[c or 2 - c, y, x] - mean[c]) / std[c] inside the image, else pad_value."""
    y = tl.program_id(0)
    x = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    # the condition of a row as one of its pixels: the interpreter takes no other mask
    inside = (y + tl.zeros_like(x) < height) & (x < width)
    for channel in tl.static_range(3):
        source = 2 - channel if REVERSE else channel
        value = tl.load(image + source * stride_channel + y * stride_y + x * stride_x, mask=inside, other=0)
        value = value.to(tl.float32)
        if HAS_MEAN:
            # not `/`, which is rounded less exactly on a GPU
            value = tl.div_rn(value - tl.load(mean + channel), tl.zeros_like(value) + tl.load(std + channel))
        offset = channel * padded_channel + y * padded_y + x * padded_x
        tl.store(padded + offset, tl.where(inside, value, pad_value), mask=x < padded_width)


def triton_normalize_images(
    images: Sequence[Tensor],
    mean: Tensor | None,
    std: Tensor | None,
    size: tuple[int, int],
    pad_value: float,
    reverse_channels: bool,
    channels_last: bool,
) -> Tensor:
    """As `normalize_images`, with one launch for each image.

    A launch for all would need a table of addresses on the GPU first, which takes longer than a few launches.
    """
    shape, options = (len(images), 3, *size), {'memory_format': memory_format(channels_last)}
    batch = torch.empty(shape, dtype=torch.float32, device=images[0].device, **options)
    if not batch.numel():
        return batch
    has_mean = mean is not None and std is not None
    mean, std = (batch if one is None else one.flatten().expand(3).contiguous() for one in (mean, std))
    with on_device_of(batch):
        for image, padded in zip(images, batch, strict=True):
            normalize_kernel[(size[0], triton.cdiv(size[1], COLUMNS))](
                image, mean, std, padded, *image.shape[1:], *image.stride(), size[1], *padded.stride(),
                float(pad_value), HAS_MEAN=has_mean, REVERSE=reverse_channels, COLUMNS=COLUMNS,
            )  # fmt: skip
    return batch
