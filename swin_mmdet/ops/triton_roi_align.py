"""RoIAlign of a pyramid with channels innermost: a program makes all channels of one bin.

The sums are in float32 whatever the maps are in. A launch takes one level; programs of other levels return at once,
for which region is on which level is not the host's to know. Gradients of a map are added up by atomics, in no order.
Arguments of the kernel, in their order:

    pixels          [B, H, W, C]              the level's map; with BACKWARD its gradient, float32, zeros at first
    boxes           [N, 4] float32            x1, y1, x2, y2 in the image
    images, levels  [N] int64                 of each box
    out             [N, SIZE, SIZE, C]        with BACKWARD its gradient, which is read
    level           of the launch
    scale           of the level: its pixels for one of the image
    height, width   H, W

    CHANNELS        C
    BLOCK           channels that are read at once
    SIZE            bins on a side
    SAMPLES         on a side of a bin, or 0 for as many as it has pixels, rounded up
"""

from collections.abc import Sequence

import torch
import triton
import triton.language as tl
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from swin_mmdet.ops.triton_fast_launch import fast_launch, on_device_of

DYNAMIC = ['level', 'scale', 'height', 'width']
WARPS = 2


@triton.jit
def _bin_start(boxes, axis, index, scale, SIZE: tl.constexpr, SAMPLES: tl.constexpr):
    """Of a bin on an axis: its first coordinate, its length, and the number of samples."""
    start = tl.load(boxes + axis) * scale - 0.5
    length = (tl.load(boxes + axis + 2) * scale - 0.5 - start) / SIZE
    if SAMPLES > 0:
        samples = tl.full((), SAMPLES, dtype=tl.int32)
    else:
        samples = tl.ceil(length).to(tl.int32)
    return start + index * length, length, samples


@triton.jit
def _neighbours(location, size):
    """Two pixels around a coordinate, the share of the second, and whether it is on the map, or within one of it."""
    # whole numbers, for the interpreter does not combine conditions on single floats
    inside = tl.where(location < -1.0, 0, 1) * tl.where(location > size, 0, 1)
    location = tl.maximum(location, 0.0)
    low = tl.minimum(location.to(tl.int32), size - 1)
    high = tl.minimum(low + 1, size - 1)
    return low, high, tl.where(low == high, 0.0, location - low), inside


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def roi_align_kernel(
    pixels, boxes, images, levels, out, level, scale, height, width, CHANNELS: tl.constexpr, BLOCK: tl.constexpr,
    SIZE: tl.constexpr, SAMPLES: tl.constexpr, BACKWARD: tl.constexpr,
):  # fmt: skip
    """pixels [B, H, W, C] -> out [N, SIZE, SIZE, C]; BACKWARD: gradients of out are added to those of pixels."""
    region, cell = tl.program_id(0).to(tl.int64), tl.program_id(1)
    if tl.load(levels + region) == level:
        box = boxes + region * 4
        y0, bin_height, rows = _bin_start(box, 1, cell // SIZE, scale, SIZE, SAMPLES)
        x0, bin_width, columns = _bin_start(box, 0, cell % SIZE, scale, SIZE, SAMPLES)
        count = tl.maximum(rows * columns, 1)
        pixels += tl.load(images + region) * height * width * CHANNELS
        out += (region * SIZE * SIZE + cell) * CHANNELS
        for first in range(0, CHANNELS, BLOCK):
            channel = first + tl.arange(0, BLOCK)
            mask = channel < CHANNELS
            total = tl.zeros((BLOCK,), dtype=tl.float32)
            if BACKWARD:
                total = tl.load(out + channel, mask=mask, other=0.0).to(tl.float32) / count
            for row in range(rows):
                top, bottom, share_y, inside_y = _neighbours(y0 + (row + 0.5) * bin_height / rows, height)
                for column in range(columns):
                    left, right, share_x, inside_x = _neighbours(x0 + (column + 0.5) * bin_width / columns, width)
                    at = pixels + channel
                    seen = mask & (tl.zeros_like(channel) + inside_y * inside_x == 1)
                    top_left = at + (top * width + left) * CHANNELS
                    top_right = at + (top * width + right) * CHANNELS
                    bottom_left = at + (bottom * width + left) * CHANNELS
                    bottom_right = at + (bottom * width + right) * CHANNELS
                    if BACKWARD:
                        tl.atomic_add(top_left, total * ((1 - share_y) * (1 - share_x)), mask=seen, sem='relaxed')
                        tl.atomic_add(top_right, total * ((1 - share_y) * share_x), mask=seen, sem='relaxed')
                        tl.atomic_add(bottom_left, total * (share_y * (1 - share_x)), mask=seen, sem='relaxed')
                        tl.atomic_add(bottom_right, total * (share_y * share_x), mask=seen, sem='relaxed')
                    else:
                        total += (1 - share_y) * (1 - share_x) * tl.load(top_left, mask=seen, other=0.0).to(tl.float32)
                        total += (1 - share_y) * share_x * tl.load(top_right, mask=seen, other=0.0).to(tl.float32)
                        total += share_y * (1 - share_x) * tl.load(bottom_left, mask=seen, other=0.0).to(tl.float32)
                        total += share_y * share_x * tl.load(bottom_right, mask=seen, other=0.0).to(tl.float32)
            if not BACKWARD:
                tl.store(out + channel, (total / count).to(out.dtype.element_ty), mask=mask)


def _launch(maps: Sequence[Tensor], out: Tensor, regions: tuple[Tensor, ...], geometry: tuple, backward: bool) -> None:
    """Every level's programs; maps and out have their channels innermost."""
    scales, size, sampling_ratio = geometry
    channels = out.shape[1]
    if not out.numel():
        return
    block = min(triton.next_power_of_2(channels), 256)
    with on_device_of(out):
        for level, (one, scale) in enumerate(zip(maps, scales, strict=True)):
            roi_align_kernel[(len(out), size * size)](
                one, *regions, out, level, float(scale), *one.shape[2:], CHANNELS=channels, BLOCK=block, SIZE=size,
                SAMPLES=sampling_ratio, BACKWARD=backward, num_warps=WARPS,
            )  # fmt: skip


def _zeros(shape: Sequence[int], device: torch.device, dtype: torch.dtype) -> Tensor:
    """With channels innermost, and no view of anything: autograd lets nobody change one in place."""
    return torch.empty(shape, device=device, dtype=dtype, memory_format=torch.channels_last).zero_()


class _PyramidRoIAlign(torch.autograd.Function):
    @staticmethod
    def forward(ctx: FunctionCtx, regions: tuple[Tensor, ...], geometry: tuple, *maps: Tensor) -> Tensor:
        ctx.regions, ctx.geometry = regions, geometry
        ctx.shapes, ctx.dtype = [one.shape for one in maps], maps[0].dtype
        size = geometry[1]
        # zeros, for a region whose level is none of them
        out = _zeros((len(regions[0]), maps[0].shape[1], size, size), maps[0].device, ctx.dtype)
        _launch([one.contiguous(memory_format=torch.channels_last) for one in maps], out, regions, geometry, False)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dout: Tensor) -> tuple[Tensor | None, ...]:
        dmaps = [_zeros(shape, dout.device, torch.float32) for shape in ctx.shapes]
        _launch(dmaps, dout.contiguous(memory_format=torch.channels_last), ctx.regions, ctx.geometry, True)
        return None, None, *(one.to(ctx.dtype) for one in dmaps)


def triton_pyramid_roi_align(
    maps: Sequence[Tensor],
    boxes: Tensor,
    images: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    size: int,
    sampling_ratio: int,
) -> Tensor:
    """`pyramid_roi_align` on a GPU; the result has its channels innermost."""
    regions = boxes.float().contiguous(), images.contiguous(), levels.contiguous()
    return _PyramidRoIAlign.apply(regions, (tuple(scales), size, sampling_ratio), *maps)
