"""CARAFE upsampling: each output pixel is a weighted sum of the k * k input pixels around it, with weights of its own.

features [B, C, H, W]; masks [B, group_size * k * k, H * s, W * s]; output [B, C, H * s, W * s], s = scale_factor.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.compat.mmcv_ops.precision import widen


def carafe_forward(
    features: Tensor, masks: Tensor, rfeatures: Tensor, routput: Tensor, rmasks: Tensor, output: Tensor,
    kernel_size: int, group_size: int, scale_factor: int,
) -> None:
    """Write output, and keep the features in rfeatures for the backward, which gets no others."""
    del routput, rmasks
    rfeatures.copy_(features)
    carafe_naive_forward(features, masks, output, kernel_size, group_size, scale_factor)


def carafe_backward(
    top_grad: Tensor, rfeatures: Tensor, masks: Tensor, rtop_grad: Tensor, rbottom_grad_hs: Tensor,
    rbottom_grad: Tensor, rmask_grad: Tensor, bottom_grad: Tensor, mask_grad: Tensor, kernel_size: int, group_size: int,
    scale_factor: int,
) -> None:
    """Add the gradients of features and masks to bottom_grad and mask_grad; r* are buffers of the compiled op."""
    del rtop_grad, rbottom_grad_hs, rbottom_grad, rmask_grad
    carafe_naive_backward(top_grad, rfeatures, masks, bottom_grad, mask_grad, kernel_size, group_size, scale_factor)


def carafe_naive_forward(
    features: Tensor, masks: Tensor, output: Tensor, kernel_size: int, group_size: int, scale_factor: int
) -> None:
    """Write output."""
    features, masks = widen(features, masks)
    output.copy_(_reassemble(features, masks, kernel_size, group_size, scale_factor))


def carafe_naive_backward(
    top_grad: Tensor, features: Tensor, masks: Tensor, bottom_grad: Tensor, mask_grad: Tensor, kernel_size: int,
    group_size: int, scale_factor: int,
) -> None:
    """Add the gradients of features and masks to bottom_grad and mask_grad."""
    features, masks = operands = [tensor.detach().requires_grad_() for tensor in widen(features, masks)]
    with torch.enable_grad():
        output = _reassemble(features, masks, kernel_size, group_size, scale_factor)
    gradients = torch.autograd.grad(output, operands, top_grad.to(output.dtype))
    bottom_grad.add_(gradients[0])
    mask_grad.add_(gradients[1])


def _reassemble(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale_factor: int) -> Tensor:
    """One multiply-add per kernel position, so that no [B, C, k * k, H, W] tensor is made."""
    batch, channels, height, width = features.shape
    reach = kernel_size // 2
    padded = F.pad(features, (reach,) * 4).unflatten(1, (group_size, channels // group_size))
    taps = masks.view(batch, group_size, 1, kernel_size, kernel_size, height, scale_factor, width, scale_factor)
    output = padded.new_zeros(())
    for y in range(kernel_size):
        for x in range(kernel_size):
            neighbour = padded[..., y:y + height, x:x + width]
            output = output + neighbour[..., :, None, :, None] * taps[:, :, :, y, x]
    return output.reshape(batch, channels, height * scale_factor, width * scale_factor)
