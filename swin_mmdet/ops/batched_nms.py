"""Greedy non-maximum suppression in many groups of boxes at once, without synchronising with a GPU."""

from functools import lru_cache

import torch
import torchvision
from torch import Tensor

from swin_mmdet.ops.triton_available import why_not_kernels


def batched_nms(boxes: Tensor, valid: Tensor, iou_threshold: float) -> Tensor:
    """Which boxes greedy NMS keeps in each of S segments.

    boxes [S, N, 4] float32 as (x1, y1, x2, y2), best first in each segment; valid [S, N] bool, other boxes are neither
    kept nor do they suppress -> keep [S, N] bool. A box falls to a better one that is kept when their IoU is above
    `iou_threshold`, rounded to float32 as compiled mmcv does it: `torchvision.ops.nms` with that threshold.

    Raises:
        ValueError: boxes are not float32.
    """
    if boxes.dtype != torch.float32:
        raise ValueError(f'batched_nms: boxes must be float32, got {boxes.dtype}')
    iou_threshold = _as_float32(iou_threshold)
    if boxes.is_cuda and why_not_kernels(boxes.device, boxes.dtype) is None:
        from swin_mmdet.ops.triton_batched_nms import triton_batched_nms

        return triton_batched_nms(boxes, valid, iou_threshold)
    return plain_batched_nms(boxes, valid, iou_threshold)


@lru_cache
def _as_float32(number: float) -> float:
    return torch.tensor(number, dtype=torch.float32).item()


def plain_batched_nms(boxes: Tensor, valid: Tensor, iou_threshold: float) -> Tensor:
    """`batched_nms` as one `torchvision.ops.nms` a segment, for any device."""
    keep = torch.zeros_like(valid)
    # no shift of the boxes that keeps segments apart in one call: it would round them
    for segment in valid.any(1).nonzero()[:, 0].tolist():
        index = valid[segment].nonzero()[:, 0]
        falling = torch.arange(len(index), 0, -1, dtype=torch.float32, device=boxes.device)
        kept = torchvision.ops.nms(boxes[segment, index], falling, iou_threshold)
        keep[segment, index[kept]] = True
    return keep
