"""True masks at points, in one kernel: of packed bits, or of a map of labels."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from swin_mmdet.ops.triton_fast_launch import fast_launch, on_device_of
from swin_mmdet.ops.triton_mask_targets import pixels

POINTS = 512


@triton.jit
def top_left_of(points, row, point, count, image_height, image_width):
    """Rows and columns of pixels [POINTS] above and left of points, and the weights of those below and right."""
    pointer = points + (row * count + point) * 2
    inside = point < count
    x = tl.load(pointer, mask=inside, other=0.0) * 2.0 - 1.0 + 1.0
    y = tl.load(pointer + 1, mask=inside, other=0.0) * 2.0 - 1.0 + 1.0
    x = (x * image_width - 1.0) / 2.0
    y = (y * image_height - 1.0) / 2.0
    left, top = tl.floor(x), tl.floor(y)
    return top.to(tl.int32), left.to(tl.int32), y - top, x - left


@triton.jit
def bilinear(top_left, top_right, low_left, low_right, down, right):
    """Of the four pixels [POINTS] around points."""
    sampled = top_left * ((1.0 - right) * (1.0 - down)) + top_right * (right * (1.0 - down))
    return sampled + low_left * ((1.0 - right) * down) + low_right * (right * down)


@fast_launch
@triton.jit(do_not_specialize=['count', 'image_height', 'image_width'])
def sample_masks_kernel(
    bits, starts, boxes, objects, points, rows, sampled, count, image_height, image_width, POINTS: tl.constexpr
):
    """sampled[n, p] = bilinear of the mask of objects[n] at points[rows[n], p]."""
    number = tl.program_id(0).to(tl.int64)
    point = tl.program_id(1) * POINTS + tl.arange(0, POINTS)
    index = tl.load(objects + number)
    y, x, down, right = top_left_of(points, tl.load(rows + number), point, count, image_height, image_width)
    # what is no object has no width
    is_one, box = index >= 0, boxes + 4 * index
    left, top = tl.load(box, mask=is_one, other=0), tl.load(box + 1, mask=is_one, other=0)
    width, height = tl.load(box + 2, mask=is_one, other=0), tl.load(box + 3, mask=is_one, other=0)
    mask = bits + tl.load(starts + index, mask=is_one, other=0)
    value = bilinear(
        pixels(mask, y, x, left, top, width, height),
        pixels(mask, y, x + 1, left, top, width, height),
        pixels(mask, y + 1, x, left, top, width, height),
        pixels(mask, y + 1, x + 1, left, top, width, height),
        down,
        right,
    )
    tl.store(sampled + number * count + point, value, mask=point < count)


@triton.jit
def has_label(maps, image, label, y, x, height, width):
    """Where the map of an image has the label at whole pixels [POINTS]."""
    # the condition of an image as one of its pixels: the interpreter takes no other mask
    inside = (y >= 0) & (y < height) & (x >= 0) & (x < width) & (image + tl.zeros_like(y) >= 0)
    value = tl.load(maps + (image * height + y) * width + x, mask=inside, other=0)
    return (inside & (value.to(tl.int64) == label)).to(tl.float32)


@fast_launch
@triton.jit(do_not_specialize=['count', 'height', 'width'])
def sample_labels_kernel(maps, images, labels, points, rows, sampled, count, height, width, POINTS: tl.constexpr):
    """sampled[n, p] = bilinear of where maps[images[n]] is labels[n], at points[rows[n], p]."""
    number = tl.program_id(0).to(tl.int64)
    point = tl.program_id(1) * POINTS + tl.arange(0, POINTS)
    image, label = tl.load(images + number), tl.load(labels + number)
    y, x, down, right = top_left_of(points, tl.load(rows + number), point, count, height, width)
    value = bilinear(
        has_label(maps, image, label, y, x, height, width),
        has_label(maps, image, label, y, x + 1, height, width),
        has_label(maps, image, label, y + 1, x, height, width),
        has_label(maps, image, label, y + 1, x + 1, height, width),
        down,
        right,
    )
    tl.store(sampled + number * count + point, value, mask=point < count)


def triton_sample_masks(
    bits: Tensor, starts: Tensor, boxes: Tensor, image_size: tuple[int, int], objects: Tensor, points: Tensor,
    rows: Tensor,
) -> Tensor:  # fmt: skip
    """As `sample_masks`."""
    sampled = torch.empty(len(objects), points.shape[1], dtype=torch.float32, device=points.device)
    if sampled.numel():
        arguments = (x.contiguous() for x in (bits, starts, boxes, objects, points, rows))
        with on_device_of(points):
            sample_masks_kernel[(len(objects), triton.cdiv(points.shape[1], POINTS))](
                *arguments, sampled, points.shape[1], *image_size, POINTS=POINTS
            )
    return sampled


def triton_sample_labels(maps: Tensor, images: Tensor, labels: Tensor, points: Tensor, rows: Tensor) -> Tensor:
    """As `sample_labels`."""
    sampled = torch.empty(len(images), points.shape[1], dtype=torch.float32, device=points.device)
    if sampled.numel():
        arguments = (x.contiguous() for x in (maps, images, labels, points, rows))
        with on_device_of(points):
            sample_labels_kernel[(len(images), triton.cdiv(points.shape[1], POINTS))](
                *arguments, sampled, points.shape[1], *maps.shape[1:], POINTS=POINTS
            )
    return sampled
