"""Dynamic soft label assignment (RTMDet, arXiv 2212.07784, section 3.3) for all images of a batch at once."""

from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.box_overlaps import overlaps

EPS = 1e-7
# of a pair that may be chosen: far objects cost more than float32 holds
MAX_COST = 1e30


class SoftLabelSettings(NamedTuple):
    """As mmdet's `DynamicSoftLabelAssigner` has them."""

    topk: int
    soft_center_radius: float
    iou_weight: float


@torch.no_grad()
def assign_soft_labels(
    scores: Tensor, boxes: Tensor, points: Tensor, inside: Tensor, objects: Tensor, labels: Tensor, counts: Tensor,
    settings: SoftLabelSettings,
) -> tuple[Tensor, Tensor]:
    """Each point's object and how much its predicted box overlaps that, without synchronising with a GPU.

    Args:
        scores: [B, N, K] logits
        boxes: [B, N, 4] float32, predicted
        points: [N, 4] float32, x, y, and the stride twice
        inside: [B, N] bool, which points an image has
        objects, labels, counts: [B, G, 4], [B, G] and [B], of B images, at most G objects each

    Returns:
        [B, N] int64, 0 for background, else 1 + the object's index; [B, N] float32
    """  # fmt: skip
    exists = torch.arange(objects.shape[1], device=objects.device) < counts[:, None]
    center = points[:, :2]
    within = torch.cat([center - objects[:, :, None, :2], objects[:, :, None, 2:] - center], -1).amin(-1) > 0
    near = inside & (within & exists[..., None]).any(1)
    possible = near[:, None] & exists[..., None]
    iou = overlaps(boxes[:, None], objects[:, :, None])
    distance = (center - (objects[:, :, None, :2] + objects[:, :, None, 2:]) / 2).square().sum(-1).sqrt()
    cost = _class_cost(scores.float(), labels, iou) - (iou + EPS).log() * settings.iou_weight
    cost = cost + torch.pow(10, distance / points[:, 2] - settings.soft_center_radius)
    cost = torch.where(possible, cost.clamp(max=MAX_COST), torch.inf)
    max_points = min(settings.topk, len(points))
    # as many as the best boxes overlap an object in sum
    wanted = iou.where(possible, 0).topk(max_points, 2).values.sum(2).int().clamp(min=1)
    cheapest, index = cost.topk(max_points, 2, largest=False)
    chosen = (torch.arange(max_points, device=cost.device) < wanted[..., None]) & (cheapest < torch.inf)
    chosen = torch.zeros_like(possible).scatter(2, index, chosen)
    # of several objects the cheapest, even if it did not choose the point
    only = cost.argmin(1, keepdim=True) == torch.arange(cost.shape[1], device=cost.device)[:, None]
    chosen = torch.where(chosen.sum(1, keepdim=True) > 1, only, chosen)
    assigned = torch.where(chosen.any(1), chosen.byte().argmax(1) + 1, 0)
    return assigned, iou.where(chosen, 0).sum(1)


def _class_cost(x: Tensor, labels: Tensor, iou: Tensor) -> Tensor:
    """Quality focal loss of each point if it were an object's: x [B, N, K], labels [B, G], [B, G, N] -> [B, G, N]."""
    p = x.sigmoid()
    every = (F.softplus(x) * p.square()).sum(-1)[:, None]
    index = labels[..., None].expand(-1, -1, x.shape[1])
    x, p = (one.mT.gather(1, index) for one in (x, p))
    background = F.softplus(x)
    return every - background * p.square() + (background - x * iou) * (iou - p).square()
