"""Boxes against boxes: nms, softnms, nms_match, bbox_overlaps. A box is (x1, y1, x2, y2), x2 - x1 + offset wide."""

import numpy as np
import torch
import torchvision
from torch import Tensor

from swin_mmdet.compat.mmcv_ops.precision import as_float32, widen


def nms(boxes: Tensor, scores: Tensor, iou_threshold: float, offset: int) -> Tensor:
    """Indices of the boxes kept, best score first: boxes [N, 4], scores [N] -> [kept]; IoU > threshold suppresses."""
    boxes, scores = widen(boxes, scores)
    if offset:
        boxes = torch.cat((boxes[:, :2], boxes[:, 2:] + offset), dim=1)
    return torchvision.ops.nms(boxes, scores, as_float32(iou_threshold))


def nms_match(dets: Tensor, iou_threshold: float) -> list[list[int]]:
    """Groups of box indices, dets [N, 5]: each box kept, then those it suppressed (by IoU >= threshold)."""
    (dets,) = widen(dets)
    boxes, order = dets[:, :4], dets[:, 4].argsort(descending=True, stable=True)
    groups = []
    while order.numel():
        best, rest = order[:1], order[1:]
        falls = _iou(boxes[best], boxes[rest])[0] >= as_float32(iou_threshold)
        groups.append(torch.cat((best, rest[falls])).tolist())
        order = rest[~falls]
    return groups


def softnms(
    boxes: Tensor, scores: Tensor, dets: Tensor, iou_threshold: float, sigma: float, min_score: float, method: int,
    offset: int,
) -> Tensor:
    """Write the boxes with their decayed scores into dets [N, 5], best first; return their indices [kept] (CPU only).

    `method` is the weight a box gets from a better one that it overlaps: 0 none at IoU >= threshold, 1 `1 - IoU` there,
    2 `exp(-IoU**2 / sigma)` everywhere. A box whose score falls below `min_score` is dropped.
    """
    boxes, scores = widen(boxes, scores)
    areas = (boxes[:, 2:] - boxes[:, :2] + offset).prod(1)
    # a row for each coordinate: numpy is several times faster on numbers side by side
    table = torch.cat((boxes.T, scores[None], areas[None])).numpy().copy()
    index = np.arange(table.shape[1])
    thresholds = np.array((iou_threshold, sigma, min_score), dtype=np.float32).astype(table.dtype)
    done, alive = 0, len(index)
    while done < alive:
        # The swaps are mmcv's: they decide the order of equal scores.
        best = done + table[4, done:alive].argmax()
        table[:, [done, best]], index[[done, best]] = table[:, [best, done]], index[[best, done]]
        rest = table[:, done + 1:alive]
        rest[4] *= _soft_weight(table[:, done], rest, method, offset, *thresholds[:2])
        keep = ~(rest[4] < thresholds[2])
        kept = int(keep.sum())
        if kept < len(keep):
            holes, tail = np.flatnonzero(~keep[:kept]), kept + np.flatnonzero(keep[kept:])[::-1]
            rest[:, holes] = rest[:, tail]
            index[done + 1 + holes] = index[done + 1 + tail]
        done, alive = done + 1, done + 1 + kept
    dets[:alive] = torch.from_numpy(table[:5, :alive].T.copy()).to(dets)
    return torch.from_numpy(index[:alive])


def bbox_overlaps(bboxes1: Tensor, bboxes2: Tensor, ious: Tensor, mode: int, aligned: bool, offset: int) -> None:
    """Write overlap / union (mode 0) or overlap / first box (mode 1): [M, 4], [N, 4] -> ious [M, N], aligned [M]."""
    boxes1, boxes2 = widen(bboxes1, bboxes2)
    ious.copy_(_iou(boxes1, boxes2, offset, aligned, over_first=mode == 1))


def _iou(boxes1: Tensor, boxes2: Tensor, offset: int = 0, aligned: bool = False, over_first: bool = False) -> Tensor:
    if not aligned:
        boxes1, boxes2 = boxes1[:, None], boxes2[None]
    start, end = torch.maximum(boxes1[..., :2], boxes2[..., :2]), torch.minimum(boxes1[..., 2:], boxes2[..., 2:])
    overlap = (end - start + offset).clamp(min=0).prod(-1)
    area1, area2 = ((boxes[..., 2:] - boxes[..., :2] + offset).prod(-1) for boxes in (boxes1, boxes2))
    return overlap / (area1 if over_first else area1 + area2 - overlap)


def _soft_weight(
    best: np.ndarray, rest: np.ndarray, method: int, offset: int, iou_threshold: float, sigma: float
) -> np.ndarray:
    """Of one box [6] for others [6, N], each x1, y1, x2, y2, score and area."""
    width = (np.minimum(best[2], rest[2]) - np.maximum(best[0], rest[0]) + offset).clip(min=0)
    height = (np.minimum(best[3], rest[3]) - np.maximum(best[1], rest[1]) + offset).clip(min=0)
    overlap = width * height
    with np.errstate(invalid='ignore', divide='ignore'):
        iou = overlap / (best[5] + rest[5] - overlap)
    if method == 2:
        return np.exp(-(iou * iou) / sigma)
    return np.where(iou >= iou_threshold, 0 if method == 0 else 1 - iou, 1).astype(rest.dtype)
