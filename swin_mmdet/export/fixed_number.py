"""Detections of a fixed number: the best, what NMS leaves, and how many there are is said by their scores."""

import torch
import torchvision
from mmdet.models.task_modules.coders import DeltaXYWHBBoxCoder
from mmengine.config import ConfigDict
from torch import Tensor

from swin_mmdet.detectors.matching import coding_of
from swin_mmdet.detectors.prediction import why_not_suppressed as why_not_predicted
from swin_mmdet.ops.box_deltas import clip_boxes, decode_boxes

# the score of what is none
NOTHING = -1.0


def why_not_suppressed(cfg: ConfigDict) -> str | None:
    """None when `suppress` is the NMS of such a setting, else the reason in words."""
    if cfg.nms.get('type', 'nms') != 'nms':
        return f'nms.type={cfg.nms.type!r} has no operator; with --cfg-options, set the nms of test_cfg to type=nms'
    return why_not_predicted(cfg)


def best(scores: Tensor, most: int) -> tuple[Tensor, Tensor]:
    """The best `most` of [B, N] and their places, both [B, most]; with fewer there, NOTHING at place 0."""
    count = scores.shape[1]
    # whether there are enough would be a question to a free size
    filled = torch.cat([scores, scores.new_full((scores.shape[0], most), NOTHING)], 1)
    found, place = filled.topk(most)
    return found, torch.where(place < count, place, 0)


def take(x: Tensor, place: Tensor) -> Tensor:
    """[B, N, C] at [B, M] -> [B, M, C]."""
    return x.gather(1, place[..., None].expand(-1, -1, x.shape[-1]))


def rows_of(one: Tensor, channels: int) -> Tensor:
    """Of every anchor of a map: [B, anchors * channels, H, W] -> [B, H * W * anchors, channels], float32."""
    # not by a `cat` of one, which AOTInductor leaves out with the copy that `view` needs
    return one.float().flatten(2).mT.reshape(len(one), -1, channels)


def decode(coder: DeltaXYWHBBoxCoder, boxes: Tensor, deltas: Tensor, sizes: Tensor) -> Tensor:
    """Boxes [B, N, 4] moved by deltas [B, N, 4], within images of `sizes` [B, 2] where the coder does that."""
    coding = coding_of(coder)
    boxes = decode_boxes(boxes, deltas, coding.means, coding.stds, coding.ctr_clamp)
    return clip_boxes(boxes, sizes) if coding.clip else boxes


def suppress(boxes: Tensor, scores: Tensor, groups: Tensor, iou: float, most: int) -> tuple[Tensor, Tensor]:
    """What NMS within groups leaves, at most `most`: scores and places, both [B, most], best first.

    boxes [B, N, 4], scores [B, N], groups [B, N] int64.
    """
    found = []
    for own, score, group in zip(boxes.unbind(0), scores.unbind(0), groups.unbind(0)):
        # as mmcv moves groups apart, so that one call serves all
        step = torch.where((score > NOTHING)[:, None], own, 0.0).flatten().amax(0) + 1
        kept = torchvision.ops.nms(own + (group.to(own.dtype) * step)[:, None], score, iou)
        left = torch.full_like(score, NOTHING).scatter(0, kept, score.index_select(0, kept))
        found.append(best(left[None], most))
    return torch.cat([one for one, _ in found]), torch.cat([place for _, place in found])


def without_small(scores: Tensor, boxes: Tensor, smallest: float) -> Tensor:
    """Scores [B, N] of boxes [B, N, 4] whose sides are longer than `smallest`, if that is not negative."""
    if smallest < 0:
        return scores
    return torch.where(((boxes[..., 2:] - boxes[..., :2]) > smallest).all(-1), scores, NOTHING)


def results(boxes: Tensor, scores: Tensor, labels: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Detections as a program returns them: where there is none, a box of zeros, score 0 and label -1."""
    exists = scores > NOTHING
    return torch.where(exists[..., None], boxes, 0.0), scores.clamp(min=0), torch.where(exists, labels, -1)
