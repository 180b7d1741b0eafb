"""Regions of a feature map: roi_align and roi_pool.

input [B, C, H, W]; rois [K, 5] = (image, x1, y1, x2, y2); output [K, C, h, w].
"""

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from swin_mmdet.compat.mmcv_ops.precision import widen

MAX_POOL = 0
LOWEST = torch.finfo(torch.float32).min


def roi_align_forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax_y: Tensor, argmax_x: Tensor, aligned_height: int,
    aligned_width: int, spatial_scale: float, sampling_ratio: int, pool_mode: int, aligned: bool,
) -> None:
    """Write the mean (pool_mode 1) or maximum (0) of bilinear samples in each bin; argmax_* say where a maximum lies.

    `aligned` shifts by half a pixel. sampling_ratio 0 takes one sample per started pixel of a bin, as many as the RoI
    needs: for a maximum, the largest such number has to be read back from the device.
    """
    input, rois = widen(input, rois)
    bins = aligned_height, aligned_width
    if pool_mode == MAX_POOL:
        value, y, x = _max_of_samples(input, rois, bins, spatial_scale, sampling_ratio, aligned)
        argmax_y.copy_(y)
        argmax_x.copy_(x)
    else:
        value = torch.ops.torchvision.roi_align(input, rois, spatial_scale, *bins, sampling_ratio, aligned)
    output.copy_(value)


def roi_align_backward(
    grad_output: Tensor, rois: Tensor, argmax_y: Tensor, argmax_x: Tensor, grad_input: Tensor, aligned_height: int,
    aligned_width: int, spatial_scale: float, sampling_ratio: int, pool_mode: int, aligned: bool,
) -> None:
    """Add the gradient of the input to grad_input [B, C, H, W]."""
    grad, rois = widen(grad_output, rois)
    if pool_mode == MAX_POOL:
        y, x = widen(argmax_y, argmax_x)
        grad_input.add_(_scatter_samples(grad, rois[:, 0].long(), y, x, grad_input.shape))
    else:
        if grad.is_cuda and torch.are_deterministic_algorithms_enabled():
            # torchvision's kernel of a GPU adds up in no fixed order and raises
            grad, rois = grad.cpu(), rois.cpu()
        found = torch.ops.torchvision._roi_align_backward(
            grad, rois, spatial_scale, aligned_height, aligned_width, *grad_input.shape, sampling_ratio, aligned
        )
        grad_input.add_(found.to(grad_input.device))


def roi_pool_forward(
    input: Tensor, rois: Tensor, output: Tensor, argmax: Tensor, pooled_height: int, pooled_width: int,
    spatial_scale: float,
) -> None:
    """Write the maximum of the pixels in each bin and its place `y * W + x`, -1 for an empty bin.

    A RoI covers [x1, x2 + 1) * spatial_scale, unrounded (torchvision rounds); one without area leaves output and argmax
    as they were. The size of the largest bin has to be read back from the device.
    """
    input, rois = widen(input, rois)
    height, width = input.shape[2:]
    image = rois[:, 0].long()
    y1, y2, has_height = _pixel_bins(rois[:, 2], rois[:, 4], pooled_height, height, spatial_scale)
    x1, x2, has_width = _pixel_bins(rois[:, 1], rois[:, 3], pooled_width, width, spatial_scale)

    best = input.new_full(output.shape, LOWEST)
    place = torch.full_like(argmax, -1)
    steps_y, steps_x = (int((end - start).max().item()) if len(rois) else 0 for start, end in ((y1, y2), (x1, x2)))
    for step_y in range(steps_y):
        for step_x in range(steps_x):
            y, x = (y1 + step_y)[:, None, :, None], (x1 + step_x)[:, None, None, :]
            inside = (y < y2[:, None, :, None]) & (x < x2[:, None, None, :])
            value = _read(input, image, y.clamp(max=height - 1), x.clamp(max=width - 1))
            better = inside & (value > best)
            best = torch.where(better, value, best)
            place = torch.where(better, (y * width + x).to(place), place)

    empty = (y2 <= y1)[:, None, :, None] | (x2 <= x1)[:, None, None, :]
    has_area = (has_height & has_width)[:, None, None, None]
    output.copy_(torch.where(has_area, best.masked_fill(empty, 0), output))
    argmax.copy_(torch.where(has_area, place, argmax))


def roi_pool_backward(
    grad_output: Tensor, rois: Tensor, argmax: Tensor, grad_input: Tensor, pooled_height: int, pooled_width: int,
    spatial_scale: float,
) -> None:
    """Add the gradient of the input to grad_input [B, C, H, W]."""
    grad, rois = widen(grad_output, rois)
    grad_input.add_(
        torch.ops.torchvision._roi_pool_backward(
            grad, rois, argmax, spatial_scale, pooled_height, pooled_width, *grad_input.shape
        )
    )


def _max_of_samples(
    input: Tensor, rois: Tensor, bins: tuple[int, int], spatial_scale: float, sampling_ratio: int, aligned: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """The largest sample of each bin, and its y and x: three [K, C, h, w]; y = x = -1 where a bin holds no sample."""
    image = rois[:, 0].long()
    edges = rois[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    start, size = edges[:, :2], edges[:, 2:] - edges[:, :2]
    if not aligned:
        size = size.clamp(min=1)
    bin_y, bin_x = size[:, 1] / bins[0], size[:, 0] / bins[1]
    if sampling_ratio > 0:
        samples_y = samples_x = torch.full_like(bin_y, sampling_ratio)
        steps_y = steps_x = sampling_ratio
    else:
        samples_y, samples_x = bin_y.ceil(), bin_x.ceil()
        steps_y, steps_x = (int(count.max().item()) if len(rois) else 0 for count in (samples_y, samples_x))

    shape = len(rois), input.shape[1], *bins
    best, best_y, best_x = input.new_full(shape, LOWEST), input.new_full(shape, -1), input.new_full(shape, -1)
    corner_y = start[:, 1, None] + torch.arange(bins[0], device=rois.device) * bin_y[:, None]
    corner_x = start[:, 0, None] + torch.arange(bins[1], device=rois.device) * bin_x[:, None]
    for step_y in range(steps_y):
        for step_x in range(steps_x):
            y = corner_y + ((step_y + 0.5) * bin_y / samples_y.clamp(min=1))[:, None]
            x = corner_x + ((step_x + 0.5) * bin_x / samples_x.clamp(min=1))[:, None]
            value = sum(
                weight * _read(input, image, row, column)
                for weight, row, column in _bilinear_corners(y[:, None, :, None], x[:, None, None, :], *input.shape[2:])
            )
            counts = ((step_y < samples_y) & (step_x < samples_x))[:, None, None, None]
            better = counts & (value > best)
            best = torch.where(better, value, best)
            best_y = torch.where(better, y[:, None, :, None], best_y)
            best_x = torch.where(better, x[:, None, None, :], best_x)
    return best, best_y, best_x


def _scatter_samples(grad: Tensor, image: Tensor, y: Tensor, x: Tensor, shape: torch.Size) -> Tensor:
    """Spread grad [K, C, h, w] over the four pixels around each (y, x), into a zero map of `shape` [B, C, H, W]."""
    _, channels, height, width = shape
    plane = image[:, None] * channels + torch.arange(channels, device=image.device)
    result = grad.new_zeros(shape)
    for weight, row, column in _bilinear_corners(y, x, height, width):
        place = (plane[:, :, None, None] * height + row) * width + column
        result.view(-1).scatter_add_(0, place.flatten(), (grad * weight * (y != -1)).flatten())
    return result


def _bilinear_corners(y: Tensor, x: Tensor, height: int, width: int) -> list[tuple[Tensor, Tensor, Tensor]]:
    """Weight, row and column of the four pixels around each point; weights are 0 more than a pixel outside the map."""
    inside = (y >= -1) & (y <= height) & (x >= -1) & (x <= width)
    y, x = y.clamp(0, height - 1), x.clamp(0, width - 1)
    top, left = y.floor(), x.floor()
    down, right = y - top, x - left
    rows = ((top.long(), 1 - down), ((top + 1).clamp(max=height - 1).long(), down))
    columns = ((left.long(), 1 - right), ((left + 1).clamp(max=width - 1).long(), right))
    return [(by * bx * inside, row, column) for row, by in rows for column, bx in columns]


def _read(input: Tensor, image: Tensor, row: Tensor, column: Tensor) -> Tensor:
    """input[image, :, row, column] -> [K, C, h, w]; row and column broadcast to [K, 1, h, w]."""
    channel = torch.arange(input.shape[1], device=input.device)[None, :, None, None]
    return input[image[:, None, None, None], channel, row, column]


def _pixel_bins(
    start: Tensor, end: Tensor, bins: int, size: int, spatial_scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """First pixel of each bin and the one after its last, in the map, [K, bins]; whether there is extent [K]."""
    start, end = start * spatial_scale, (end + 1) * spatial_scale
    extent = ((end - start) / bins)[:, None]
    edge = torch.arange(bins + 1, device=start.device) * extent + start[:, None]
    first, last = edge[:, :-1].floor().clamp(0, size).long(), edge[:, 1:].ceil().clamp(0, size).long()
    return first, last, end > start
