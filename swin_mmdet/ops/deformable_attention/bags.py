"""The same as bags of weighted pixels: gradients are summed in a fixed order, on any device."""

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.deformable_attention.locations import locations_and_weights

# PyTorch's kernels count in 32 bits what a bag holds, times channels
MAX_NUMBERS = 2**31 - 1


def embedding_bag_attention(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    coords: Tensor,
    scores: Tensor,
    reference_points: Tensor | None,
    max_numbers: int = MAX_NUMBERS,
) -> Tensor:
    """One bag of 4 * L * P pixels for each query and head; sizes of levels stay on the device."""
    locations, weights = locations_and_weights(spatial_shapes, coords, scores, reference_points)
    batch, _, heads, dim = value.shape
    queries = locations.shape[1]
    numbers = 4 * weights[0, 0].numel() * max(dim, 1) if weights.numel() else 1
    step = max(max_numbers // numbers, 1)
    table = value.to(locations.dtype)
    sizes = spatial_shapes, level_start_index
    parts = [
        _sum_pixels(table[image], locations[image, at : at + step], weights[image, at : at + step], *sizes)
        for image in range(batch)
        for at in range(0, queries, step)
    ]
    if not locations.numel():
        # zeros that belong to the graph
        return value.new_zeros(batch, queries, heads * dim) + 0 * (value.sum() + locations.sum() + weights.sum())
    return torch.cat(parts).view(batch, queries, heads * dim).to(value.dtype)


def _sum_pixels(value: Tensor, locations: Tensor, weights: Tensor, shapes: Tensor, starts: Tensor) -> Tensor:
    """Of one image: value [S, h, d], locations [Q, h, L, P, 2], weights [Q, h, L, P] -> [Q * h, d]."""
    heads, dim = value.shape[1:]
    height, width = (size[:, None] for size in shapes.unbind(1))
    x, y = (locations * torch.stack((width, height), dim=-1) - 0.5).unbind(-1)
    inside = (y > -1) & (y < height) & (x > -1) & (x < width)
    top, left = y.detach().floor(), x.detach().floor()
    head = torch.arange(heads, device=value.device)[:, None, None]
    indices, shares = [], []
    for row, by in ((top, top + 1 - y), (top + 1, y - top)):
        for column, bx in ((left, left + 1 - x), (left + 1, x - left)):
            exists = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixel = starts[:, None] + row.long() * width + column.long()
            indices.append((pixel * heads + head).where(exists, 0))
            shares.append((weights * by * bx).where(exists, 0))
    indices, shares = (torch.stack(parts, dim=-1).flatten(2).flatten(0, 1) for parts in (indices, shares))
    return F.embedding_bag(indices, value.reshape(-1, dim), per_sample_weights=shares, mode='sum')
