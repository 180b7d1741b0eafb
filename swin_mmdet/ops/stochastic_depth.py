"""Stochastic depth: whole residual branches are dropped, image by image. Paper: arXiv 1603.09382."""

import torch
from torch import Tensor


def draw_branch_scales(keep: Tensor, batch: int) -> Tensor:
    """What to multiply every branch of a step with: [branches] and a batch size -> [branches, B].

    0 with probability 1 - keep, else 1 / keep; drawn for each branch and image on its own, all at once.
    """
    keep = keep[:, None].expand(-1, batch)
    return torch.bernoulli(keep) / keep


def scale_branch(branch: Tensor, scale: Tensor | None) -> Tensor:
    """[B, H, W, C] times [B]; None leaves the branch as it is."""
    return branch if scale is None else branch * scale.to(branch.dtype)[:, None, None, None]
