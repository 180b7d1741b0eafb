"""RoIAlign over the levels of a feature pyramid: each region from the level it is given, in one call."""

from collections.abc import Sequence

import torch
import torchvision
from torch import Tensor

from swin_mmdet.ops.tracing import is_exported
from swin_mmdet.ops.triton_available import why_not_kernels


def channels_innermost(maps: Sequence[Tensor]) -> Sequence[Tensor]:
    """Maps as the kernels take them: copied once for all heads and stages that cut regions from them."""
    return [one.contiguous(memory_format=torch.channels_last) if one.is_cuda else one for one in maps]


def pyramid_roi_align(
    maps: Sequence[Tensor],
    boxes: Tensor,
    images: Tensor,
    levels: Tensor,
    scales: Sequence[float],
    size: int,
    sampling_ratio: int = 0,
) -> Tensor:
    """Average of bilinear samples in size x size bins of every box (arXiv 1703.06870, with aligned corners).

    Args:
        maps: a map [B, C, H, W] for each level, of one dtype.
        boxes: [N, 4] float32, x1, y1, x2, y2 in pixels of the image.
        images: [N] int64, which of the B.
        levels: [N] int64, which of the maps.
        scales: of each level, its pixels for one of the image.
        size: bins on a side.
        sampling_ratio: samples on a bin's side; 0 for as many as the map has pixels there, rounded up.

    Returns:
        [N, C, size, size] in the maps' dtype.
    """
    device, dtype = maps[0].device, maps[0].dtype
    if maps[0].is_cuda and torch.are_deterministic_algorithms_enabled():
        # kernels of a GPU add up gradients in no fixed order, and torchvision's way round it takes gigabytes
        maps, others = [one.cpu() for one in maps], (boxes.cpu(), images.cpu(), levels.cpu())
        return pyramid_roi_align(maps, *others, scales, size, sampling_ratio).to(device)
    if maps[0].is_cuda and why_not_kernels(device, dtype) is None:
        from swin_mmdet.ops.triton_roi_align import triton_pyramid_roi_align

        return triton_pyramid_roi_align(maps, boxes, images, levels, scales, size, sampling_ratio)
    rois = torch.cat([images[:, None].to(boxes.dtype), boxes], 1)
    if is_exported():
        return _from_all_levels(maps, rois, levels, scales, size, sampling_ratio)
    out = maps[0].new_zeros(len(boxes), maps[0].shape[1], size, size)
    for level, (one, scale) in enumerate(zip(maps, scales, strict=True)):
        own = (levels == level).nonzero()[:, 0]
        # without a region of its own a map still belongs to the graph, which distributed training waits for
        pooled = torchvision.ops.roi_align(
            one.to(rois.dtype), rois[own], size, scale, sampling_ratio=sampling_ratio or -1, aligned=True
        )
        out = out.index_add(0, own, pooled.to(dtype))
    return out


def _from_all_levels(
    maps: Sequence[Tensor], rois: Tensor, levels: Tensor, scales: Sequence[float], size: int, sampling_ratio: int
) -> Tensor:
    """The same for programs, whose shapes are not to depend on where regions lie: each is cut from every map.

    But as one without a size from those that are not its own, of which few samples or none are taken.
    """
    out = torch.zeros((), device=rois.device)
    for level, (one, scale) in enumerate(zip(maps, scales, strict=True)):
        own = (levels == level)[:, None]
        here = torch.cat([rois[:, :1], torch.where(own, rois[:, 1:], 0.0)], 1)
        found = torchvision.ops.roi_align(
            one.to(rois.dtype), here, size, scale, sampling_ratio=sampling_ratio or -1, aligned=True
        )
        out = torch.where(own[..., None, None], found, out)
    return out.to(maps[0].dtype)
