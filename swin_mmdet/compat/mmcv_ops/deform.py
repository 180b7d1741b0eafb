"""Deformable convolution, plain and modulated (with a mask on the samples).

input [B, C, H, W], weight [D, C / group, kh, kw], output [B, D, h, w]; offset [B, deformable_group * kh * kw * 2, h, w]
holds (dy, dx) for each kernel position, mask [B, deformable_group * kh * kw, h, w] a factor.
"""

import torch
import torchvision  # noqa: F401  (registers torch.ops.torchvision)
from torch import Tensor

from swin_mmdet.compat.mmcv_ops.precision import widen
from swin_mmdet.ops.deformable_convolution.geometry import leading


def deform_conv_forward(
    input: Tensor, weight: Tensor, offset: Tensor, output: Tensor, columns: Tensor, ones: Tensor, kW: int, kH: int,
    dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int, group: int, deformable_group: int,
    im2col_step: int,
) -> None:
    """Write the convolution into output; columns, ones and im2col_step are memory settings of the compiled op."""
    del columns, ones, kW, kH, im2col_step
    geometry = dH, dW, padH, padW, dilationH, dilationW, group, deformable_group
    output.copy_(_forward(input, weight, offset, None, None, geometry))


def deform_conv_backward_input(
    input: Tensor, offset: Tensor, gradOutput: Tensor, gradInput: Tensor, gradOffset: Tensor, weight: Tensor,
    columns: Tensor, kW: int, kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int,
    group: int, deformable_group: int, im2col_step: int,
) -> None:
    """Add the gradient of the input to gradInput, write that of the offset into gradOffset."""
    del columns, kW, kH, im2col_step
    geometry = dH, dW, padH, padW, dilationH, dilationW, group, deformable_group
    grad_input, _, grad_offset, _, _ = _backward(gradOutput, input, weight, offset, None, None, geometry)
    gradInput.add_(grad_input)
    gradOffset.copy_(grad_offset)


def deform_conv_backward_parameters(
    input: Tensor, offset: Tensor, gradOutput: Tensor, gradWeight: Tensor, columns: Tensor, ones: Tensor, kW: int,
    kH: int, dW: int, dH: int, padW: int, padH: int, dilationW: int, dilationH: int, group: int, deformable_group: int,
    scale: float, im2col_step: int,
) -> None:
    """Add scale times the gradient of the weight to gradWeight."""
    del columns, ones, kW, kH, im2col_step
    geometry = dH, dW, padH, padW, dilationH, dilationW, group, deformable_group
    # The values of the weight do not enter its own gradient, and this signature does not pass them.
    _, grad_weight, _, _, _ = _backward(gradOutput, input, gradWeight, offset, None, None, geometry)
    gradWeight.add_(grad_weight, alpha=scale)


def modulated_deform_conv_forward(
    input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor, output: Tensor,
    columns: Tensor, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, pad_h: int, pad_w: int,
    dilation_h: int, dilation_w: int, group: int, deformable_group: int, with_bias: bool,
) -> None:
    """Write the convolution of the masked samples into output."""
    del ones, columns, kernel_h, kernel_w
    geometry = stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group
    offset, mask = (leading(tensor, output.shape[2:]) for tensor in (offset, mask))
    output.copy_(_forward(input, weight, offset, mask, bias if with_bias else None, geometry))


def modulated_deform_conv_backward(
    input: Tensor, weight: Tensor, bias: Tensor, ones: Tensor, offset: Tensor, mask: Tensor, columns: Tensor,
    grad_input: Tensor, grad_weight: Tensor, grad_bias: Tensor, grad_offset: Tensor, grad_mask: Tensor,
    grad_output: Tensor, kernel_h: int, kernel_w: int, stride_h: int, stride_w: int, pad_h: int, pad_w: int,
    dilation_h: int, dilation_w: int, group: int, deformable_group: int, with_bias: bool,
) -> None:
    """Add the gradients of input, weight and bias to grad_*, write those of offset and mask."""
    del ones, columns, kernel_h, kernel_w
    geometry = stride_h, stride_w, pad_h, pad_w, dilation_h, dilation_w, group, deformable_group
    offset, mask, grad_offset, grad_mask = (
        leading(tensor, grad_output.shape[2:]) for tensor in (offset, mask, grad_offset, grad_mask)
    )
    gradients = _backward(grad_output, input, weight, offset, mask, bias if with_bias else None, geometry)
    grad_input.add_(gradients[0])
    grad_weight.add_(gradients[1])
    grad_offset.copy_(gradients[2])
    grad_mask.copy_(gradients[3])
    if with_bias:
        grad_bias.add_(gradients[4])


def _forward(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None, geometry: tuple[int, ...]
) -> Tensor:
    operands = _operands(input, weight, offset, mask, bias)
    return torch.ops.torchvision.deform_conv2d(*operands, *geometry, mask is not None)


def _backward(
    grad: Tensor, input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None,
    geometry: tuple[int, ...],
) -> tuple[Tensor, ...]:
    """Gradients of input, weight, offset, mask, bias."""
    operands = _operands(input, weight, offset, mask, bias)
    grad = grad.to(operands[0].dtype)
    gradients = list(torch.ops.torchvision._deform_conv2d_backward(grad, *operands, *geometry, mask is not None))
    gradients[2] = gradients[2].masked_fill(_on_outer_edge(operands[2], weight.shape[2:], geometry), 0)
    return tuple(gradients)


def _operands(
    input: Tensor, weight: Tensor, offset: Tensor, mask: Tensor | None, bias: Tensor | None
) -> tuple[Tensor, ...]:
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    mask = input.new_zeros(len(input), 1) if mask is None else mask
    return widen(input, weight, offset, mask, bias)


def _on_outer_edge(offset: Tensor, kernel_size: torch.Size, geometry: tuple[int, ...]) -> Tensor:
    """Where a sample lies on row or column -1: mmcv's gradient is 0 there, torchvision's one-sided.

    With padding and offsets that start at zero, every border pixel of a new layer is such a place.
    """
    channels, *size = offset.shape[1:]
    position = offset.view(len(offset), -1, *kernel_size, 2, *size)
    edges = []
    for axis, (taps, steps) in enumerate(zip(kernel_size, size)):
        stride, padding, dilation = geometry[axis], geometry[2 + axis], geometry[4 + axis]
        tap = torch.arange(taps, device=offset.device) * dilation - padding
        start = tap[:, None] + torch.arange(steps, device=offset.device) * stride
        shape = (taps, 1, steps, 1) if axis == 0 else (taps, 1, steps)
        edges.append(position[:, :, :, :, axis] + start.view(shape) <= -1)
    return torch.stack(edges, dim=4).view(len(offset), channels, *size)
