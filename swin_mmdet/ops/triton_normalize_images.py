"""Images as they were decoded, of several sizes, to one normalised batch: bytes are read once, floats written once."""

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
    inside = (y < height) & (x < width)
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
    has_mean = mean is not None
    mean, std = (values.flatten().expand(3).contiguous() for values in (mean, std)) if has_mean else (batch, batch)
    with on_device_of(batch):
        for image, padded in zip(images, batch, strict=True):
            normalize_kernel[(size[0], triton.cdiv(size[1], COLUMNS))](
                image, mean, std, padded, *image.shape[1:], *image.stride(), size[1], *padded.stride(),
                float(pad_value), HAS_MEAN=has_mean, REVERSE=reverse_channels, COLUMNS=COLUMNS,
            )  # fmt: skip
    return batch
