"""Multi-scale deformable attention: each query reads a few weighted points from every level of a feature pyramid.

value [B, S, h, d], S = all pixels of all levels; spatial_shapes [L, 2] = (H, W); level_start_index [L];
sampling_locations [B, Q, h, L, P, 2] = (x, y) in 0..1; attention_weights [B, Q, h, L, P]; output [B, Q, h * d].
"""

import torch
from torch import Tensor

from swin_mmdet.ops.deformable_attention import sample_levels


def ms_deform_attn_forward(
    value: Tensor, value_spatial_shapes: Tensor, value_level_start_index: Tensor, sampling_locations: Tensor,
    attention_weights: Tensor, im2col_step: int,
) -> Tensor:
    """The weighted sum of the samples of each query and head; im2col_step is a memory setting of the compiled op."""
    del im2col_step
    return sample_levels(
        value, value_spatial_shapes, value_level_start_index, sampling_locations, attention_weights
    )


def ms_deform_attn_backward(
    value: Tensor, value_spatial_shapes: Tensor, value_level_start_index: Tensor, sampling_locations: Tensor,
    attention_weights: Tensor, grad_output: Tensor, grad_value: Tensor, grad_sampling_loc: Tensor,
    grad_attn_weight: Tensor, im2col_step: int,
) -> None:
    """Add the gradients of value, sampling_locations and attention_weights to grad_*."""
    del im2col_step
    operands = [x.detach().requires_grad_() for x in (value, sampling_locations, attention_weights)]
    with torch.enable_grad():
        output = sample_levels(operands[0], value_spatial_shapes, value_level_start_index, *operands[1:])
    gradients = torch.autograd.grad(output, operands, grad_output)
    for total, gradient in zip((grad_value, grad_sampling_loc, grad_attn_weight), gradients):
        total.add_(gradient)
