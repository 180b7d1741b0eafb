"""A random choice of assigned boxes for a loss: fixed shapes, all images of a batch at once."""

import torch
from torch import Tensor


def sample_boxes(
    assigned: Tensor, number: int, max_positive: int, negatives_per_positive: float | None = None
) -> tuple[Tensor, Tensor]:
    """At most `max_positive` boxes with objects, and of background so many that they are `number` together.

    Each box of a kind is as likely as the others. Public behaviour: mmdet's `RandomSampler`.

    Args:
        assigned: [B, N] int64, as `assign_boxes` returns it.
        number: how many of an image, if it has as many.
        max_positive: of them with objects, at most `number`.
        negatives_per_positive: where given, the background is at most so many times those with objects, which count as
            one at least.

    Returns:
        Indices into the N, and what is assigned there: each [B, P + Q] with those of objects in the first
        P = min(max_positive, N) columns, background in the others; in both the first columns are used, and what is
        assigned to the unused ones is -1.
    """
    boxes = assigned.shape[1]
    draws = torch.rand(assigned.shape, device=assigned.device)
    positive_draws, positive = draws.masked_fill(assigned <= 0, -1).topk(min(max_positive, boxes))
    negative_draws, negative = draws.masked_fill(assigned != 0, -1).topk(min(number, boxes))
    positives = (positive_draws >= 0).sum(1, keepdim=True)
    max_negative = number - positives
    if negatives_per_positive is not None:
        max_negative = torch.minimum(max_negative, (positives.clamp(min=1) * negatives_per_positive).long())
    rank = torch.arange(negative.shape[1], device=assigned.device)
    is_used = torch.cat([positive_draws >= 0, (negative_draws >= 0) & (rank < max_negative)], 1)
    indices = torch.cat([positive, negative], 1)
    return indices, assigned.gather(1, indices).masked_fill(~is_used, -1)


def close_ranks(indices: Tensor, assigned: Tensor, number: int) -> tuple[Tensor, Tensor]:
    """Both [B, K] without the unused columns between, cut to `number`, the order kept."""
    order = (assigned < 0).to(torch.uint8).argsort(dim=1, stable=True)[:, :number]
    return indices.gather(1, order), assigned.gather(1, order)
