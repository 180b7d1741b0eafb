"""The two operators of torchvision that exported programs have, where torchvision is not: importing this defines them.

Written beside the runtime of a program of PyTorch, which then runs with torch alone, if slower.
"""

import torch
from torch import Tensor


def nms(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    """Of boxes [N, 4] those that no better one overlaps by more than the threshold, best first: [kept] int64."""
    order = scores.sort(descending=True, stable=True).indices
    x1, y1, x2, y2 = dets[order].unbind(1)
    area = (x2 - x1) * (y2 - y1)
    alive = torch.ones_like(order, dtype=torch.bool)
    for place in range(len(order)):
        if alive[place]:
            rest = slice(place + 1, None)
            wide = torch.minimum(x2[place], x2[rest]) - torch.maximum(x1[place], x1[rest])
            high = torch.minimum(y2[place], y2[rest]) - torch.maximum(y1[place], y1[rest])
            overlap = wide.clamp(min=0) * high.clamp(min=0)
            alive[rest] &= ~(overlap / (area[place] + area[rest] - overlap) > iou_threshold)
    return order[alive]


def roi_align(
    input: Tensor,
    rois: Tensor,
    spatial_scale: float,
    pooled_height: int,
    pooled_width: int,
    sampling_ratio: int,
    aligned: bool,
) -> Tensor:
    """Means of bilinear samples in bins of regions: [B, C, H, W], [N, 5] -> [N, C, pooled_height, pooled_width].

    Rows and columns are sampled apart: what a bin is made of is a product of the two.
    """
    bins, found = (pooled_height, pooled_width), []
    for image, x1, y1, x2, y2 in rois.tolist():
        shares, parts = [], []
        for low, high, count, size in zip((y1, x1), (y2, x2), bins, input.shape[2:]):
            low, high = (side * spatial_scale - (0.5 if aligned else 0.0) for side in (low, high))
            side = high - low if aligned else max(high - low, 1.0)
            share, first, last = _shares(low, side / count, count, sampling_ratio, size)
            shares.append(share.to(input.dtype))
            parts.append(slice(first, last))
        found.append(shares[0] @ input[int(image), :, parts[0], parts[1]] @ shares[1].T)
    return torch.stack(found) if found else input.new_zeros(0, input.shape[1], *bins)


def _shares(low: float, side: float, count: int, samples: int, size: int) -> tuple[Tensor, int, int]:
    """Of `count` bins of `side`, what of the pixels from one to before another each is made of."""
    # none in a bin without a side: its mean is of nothing
    samples = samples if samples > 0 else max(-int(-side // 1), 0)
    if not samples:
        return torch.zeros(count, 1), 0, 1
    at = low + side * (torch.arange(count)[:, None] + (torch.arange(samples) + 0.5) / samples)
    exists = (at >= -1) & (at <= size)
    at = at.clamp(0, size - 1)
    first, last = int(at.min()), int(at.max()) + 2
    last = min(last, size)
    pixels = torch.arange(first, last)
    return ((1 - (at[..., None] - pixels).abs()).clamp(min=0) * exists[..., None]).mean(1), first, last


def _nms_shape(dets: Tensor, scores: Tensor, iou_threshold: float) -> Tensor:
    del scores, iou_threshold
    return dets.new_empty(torch.library.get_ctx().new_dynamic_size(), dtype=torch.int64)


def _roi_align_shape(
    input: Tensor, rois: Tensor, spatial_scale: float, pooled_height: int, pooled_width: int, *_: object
) -> Tensor:
    del spatial_scale
    return input.new_empty(rois.shape[0], input.shape[1], pooled_height, pooled_width)


_LIBRARY = torch.library.Library('torchvision', 'DEF')
_LIBRARY.define('nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor')
_LIBRARY.define(
    'roi_align(Tensor input, Tensor rois, float spatial_scale, SymInt pooled_height, SymInt pooled_width, '
    'int sampling_ratio, bool aligned) -> Tensor'
)
_LIBRARY.impl('nms', nms, 'CompositeExplicitAutograd')
_LIBRARY.impl('roi_align', roi_align, 'CompositeExplicitAutograd')
torch.library.register_fake('torchvision::nms', _nms_shape, lib=_LIBRARY)
torch.library.register_fake('torchvision::roi_align', _roi_align_shape, lib=_LIBRARY)
