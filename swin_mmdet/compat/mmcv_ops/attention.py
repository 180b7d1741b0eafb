"""Multi-scale deformable attention: each query reads a few weighted points from every level of a feature pyramid.

value [B, S, h, d], S = all pixels of all levels; spatial_shapes [L, 2] = (H, W); level_start_index [L];
sampling_locations [B, Q, h, L, P, 2] = (x, y) in 0..1; attention_weights [B, Q, h, L, P]; output [B, Q, h * d].
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.compat.mmcv_ops.precision import widen


def ms_deform_attn_forward(
    value: Tensor, value_spatial_shapes: Tensor, value_level_start_index: Tensor, sampling_locations: Tensor,
    attention_weights: Tensor, im2col_step: int,
) -> Tensor:
    """The weighted sum of the samples of each query and head; im2col_step is a memory setting of the compiled op."""
    del im2col_step
    operands = widen(value, sampling_locations, attention_weights)
    return _attend(*operands, value_spatial_shapes, value_level_start_index).to(value.dtype)


def ms_deform_attn_backward(
    value: Tensor, value_spatial_shapes: Tensor, value_level_start_index: Tensor, sampling_locations: Tensor,
    attention_weights: Tensor, grad_output: Tensor, grad_value: Tensor, grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor, im2col_step: int,
) -> None:
    """Add the gradients of value, sampling_locations and attention_weights to grad_*."""
    del im2col_step
    operands = [tensor.detach().requires_grad_() for tensor in widen(value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = _attend(*operands, value_spatial_shapes, value_level_start_index)
    gradients = torch.autograd.grad(output, operands, grad_output.to(output.dtype))
    for total, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), gradients):
        total.add_(gradient)


def _attend(value: Tensor, locations: Tensor, attention: Tensor, shapes: Tensor, starts: Tensor) -> Tensor:
    """One bag of 4 * L * P weighted pixels per query and head; sizes of levels stay on the device."""
    batch, pixels, heads, dim = value.shape
    queries = locations.shape[1]
    height, width = (size[:, None] for size in shapes.unbind(1))
    x, y = (locations * torch.stack((width, height), dim=-1) - 0.5).unbind(-1)
    inside = (y > -1) & (y < height) & (x > -1) & (x < width)
    top, left = y.detach().floor(), x.detach().floor()

    image = torch.arange(batch, device=value.device)[:, None, None, None, None]
    head = torch.arange(heads, device=value.device)[:, None, None]
    places, weights = [], []
    for row, by in ((top, top + 1 - y), (top + 1, y - top)):
        for column, bx in ((left, left + 1 - x), (left + 1, x - left)):
            exists = inside & (row >= 0) & (row < height) & (column >= 0) & (column < width)
            pixel = starts[:, None] + row.long() * width + column.long()
            places.append(((image * pixels + pixel) * heads + head).where(exists, 0))
            weights.append((attention * by * bx).where(exists, 0))

    places, weights = (torch.stack(parts, dim=-1).flatten(3).flatten(0, 2) for parts in (places, weights))
    sums = F.embedding_bag(places, value.reshape(-1, dim), per_sample_weights=weights, mode='sum')
    return sums.view(batch, queries, heads * dim)
