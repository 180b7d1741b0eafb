"""Targets of a mask head from packed masks, in one kernel."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from swin_mmdet.ops.triton_fast_launch import fast_launch, on_device_of

CELLS = 128


@triton.jit
def pixels(bits, y, x, left, top, width, height):
    """The mask [...] of one object at whole pixels of the image; `bits` is its first byte."""
    y -= top
    x -= left
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width)
    byte = tl.load(bits + y * ((width + 7) // 8) + x // 8, mask=inside, other=0)
    return ((byte.to(tl.int32) >> (x & 7)) & 1).to(tl.float32)


@triton.jit
def neighbours(at, length):
    """The pixels below and above places [...] of an axis, and the weight of the one above; RoIAlign's rules."""
    at = tl.maximum(at, 0.0)
    low = at.to(tl.int32)
    last = low >= length - 1
    low = tl.where(last, length - 1, low)
    return low, tl.where(last, low, low + 1), tl.where(last, 0.0, at - low.to(tl.float32))


@fast_launch
@triton.jit(do_not_specialize=['image_height', 'image_width'])
def mask_targets_kernel(
    bits, starts, boxes, objects, rois, targets, image_height, image_width, SIZE: tl.constexpr, CELLS: tl.constexpr
):
    """targets[n, i, j] = mean over samples of cell i, j of roi n, of the mask of its object, >= 0.5.

    Operations and their order are torchvision's, for a cell that is covered by just a half is not rare.
    """
    roi = tl.program_id(0).to(tl.int64)
    cell = tl.program_id(1) * CELLS + tl.arange(0, CELLS)
    i, j = cell // SIZE, cell % SIZE

    index = tl.load(objects + roi)
    mask = bits + tl.load(starts + index)
    left, top = tl.load(boxes + 4 * index), tl.load(boxes + 4 * index + 1)
    width, height = tl.load(boxes + 4 * index + 2), tl.load(boxes + 4 * index + 3)

    x1, y1 = tl.load(rois + 4 * roi) - 0.5, tl.load(rois + 4 * roi + 1) - 0.5
    # not `/`, which is rounded less exactly on a GPU
    cell_width = tl.div_rn(tl.load(rois + 4 * roi + 2) - 0.5 - x1, SIZE * 1.0)
    cell_height = tl.div_rn(tl.load(rois + 4 * roi + 3) - 0.5 - y1, SIZE * 1.0)
    samples_x, samples_y = tl.ceil(cell_width).to(tl.int32), tl.ceil(cell_height).to(tl.int32)
    cell_x, cell_y = x1 + j.to(tl.float32) * cell_width, y1 + i.to(tl.float32) * cell_height

    total = tl.zeros((CELLS,), dtype=tl.float32)
    for sample_y in range(samples_y):
        y = cell_y + tl.div_rn((sample_y + 0.5) * cell_height, samples_y.to(tl.float32))
        y_low, y_high, up = neighbours(y, image_height)
        for sample_x in range(samples_x):
            x = cell_x + tl.div_rn((sample_x + 0.5) * cell_width, samples_x.to(tl.float32))
            x_low, x_high, right = neighbours(x, image_width)
            value = (1.0 - up) * (1.0 - right) * pixels(mask, y_low, x_low, left, top, width, height)
            value += (1.0 - up) * right * pixels(mask, y_low, x_high, left, top, width, height)
            value += up * (1.0 - right) * pixels(mask, y_high, x_low, left, top, width, height)
            value += up * right * pixels(mask, y_high, x_high, left, top, width, height)
            near = (y >= -1.0) & (y <= image_height) & (x >= -1.0) & (x <= image_width)
            total += tl.where(near, value, 0.0)
    samples = tl.maximum(samples_x * samples_y, 1).to(tl.float32)
    covered = tl.div_rn(total, tl.zeros_like(total) + samples) >= 0.5
    tl.store(targets + roi * SIZE * SIZE + cell, covered.to(tl.float32), mask=cell < SIZE * SIZE)


def triton_mask_targets(
    bits: Tensor, starts: Tensor, boxes: Tensor, objects: Tensor, rois: Tensor, size: int, image_size: tuple[int, int]
) -> Tensor:
    """As `mask_targets`; rois are float32."""
    targets = torch.empty(len(rois), size, size, dtype=torch.float32, device=rois.device)
    if targets.numel():
        with on_device_of(rois):
            mask_targets_kernel[(len(rois), triton.cdiv(size * size, CELLS))](
                bits.contiguous(), starts.contiguous(), boxes.contiguous(), objects.contiguous(), rois.contiguous(),
                targets, *image_size, SIZE=size, CELLS=CELLS,
            )  # fmt: skip
    return targets
