"""Buffers, launches and matrix products of a deformable convolution: host code, no maths."""

from typing import Any

import torch
import triton
from torch import Tensor

from swin_mmdet.ops.deformable_convolution.geometry import Geometry
from swin_mmdet.ops.deformable_convolution.triton_kernels import columns_kernel, gradients_kernel
from swin_mmdet.ops.triton_fast_launch import on_device_of

# output pixels of a program, and warps: measured on an H200 at 256 channels of a 100 x 168 map
FORWARD = BACKWARD = dict(BLOCK=16, num_warps=2)
MAX_CHANNEL_BLOCK = 64


def convolve(
    input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """[B, D, h, w] with channels innermost."""
    columns = _columns(input, offset, mask, weight, geometry)
    kernels = _kernels(weight.to(input.dtype), geometry)
    out = torch.matmul(columns, kernels).transpose(0, 1).flatten(1)
    if bias is not None:
        out = out + bias.to(out.dtype)
    size = geometry.out_size(input, weight)
    return out.view(len(input), *size, len(weight)).permute(0, 3, 1, 2)


def convolve_backward(
    dout: Tensor, input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, geometry: Geometry
) -> tuple[Tensor, Tensor, Tensor | None, Tensor]:
    """Gradients of input (channels innermost), offset, mask and weight."""
    groups = geometry.groups
    # [N, D] -> [groups, N, D / groups]
    given = dout.to(input.dtype).permute(0, 2, 3, 1).reshape(-1, groups, len(weight) // groups).transpose(0, 1)
    columns = _columns(input, offset, mask, weight, geometry)
    dkernels = torch.matmul(columns.transpose(1, 2), given)
    del columns
    taps = weight[0, 0].numel()
    dcolumns = torch.matmul(given, _kernels(weight.to(input.dtype), geometry).transpose(1, 2))
    # [groups, N, taps * C / groups] -> [N, taps, C]
    dcolumns = dcolumns.unflatten(2, (taps, -1)).permute(1, 2, 0, 3).contiguous()
    pixels = input.contiguous(memory_format=torch.channels_last)
    dinput = torch.zeros_like(pixels, dtype=torch.float32)
    doffset = torch.empty_like(offset, memory_format=torch.contiguous_format)
    dmask = None if mask is None else torch.empty_like(mask, memory_format=torch.contiguous_format)
    tensors = _tensors(pixels, offset, mask)
    _launch(
        gradients_kernel, (*tensors, dcolumns, dinput, doffset, doffset if dmask is None else dmask), input, weight,
        mask, geometry, BACKWARD,
    )  # fmt: skip
    # [groups, taps * C / groups, D / groups] -> [D, C / groups, kh, kw]
    dweight = dkernels.unflatten(1, (taps, -1)).permute(0, 3, 2, 1).reshape(weight.shape)
    return dinput.to(input.dtype), doffset, dmask, dweight.to(weight.dtype)


def _kernels(weight: Tensor, geometry: Geometry) -> Tensor:
    """[D, C / groups, kh, kw] -> [groups, taps * C / groups, D / groups]."""
    parts = weight.unflatten(0, (geometry.groups, -1)).flatten(3)
    return parts.permute(0, 3, 2, 1).flatten(1, 2)


def _columns(
    input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, geometry: Geometry
) -> Tensor:
    """[groups, N, taps * C / groups] in input's dtype."""
    height, width = geometry.out_size(input, weight)
    channels, taps = input.shape[1], weight[0, 0].numel()
    columns = input.new_empty(len(input) * height * width, taps, channels)
    tensors = _tensors(input.contiguous(memory_format=torch.channels_last), offset, mask)
    _launch(columns_kernel, (*tensors, columns), input, weight, mask, geometry, FORWARD)
    parts = columns.unflatten(2, (geometry.groups, -1)).permute(2, 0, 1, 3)
    return parts.flatten(2)


def _tensors(pixels: Tensor, offset: Tensor, mask: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """A kernel's argument is a tensor, also where it is not read."""
    return pixels, offset.contiguous(), pixels if mask is None else mask.contiguous()


def _launch(
    kernel: Any, tensors: tuple[Tensor, ...], input: Tensor, weight: Tensor, mask: Tensor | None,
    geometry: Geometry, options: dict[str, int],
) -> None:  # fmt: skip
    height, width = geometry.out_size(input, weight)
    count, taps = len(input) * height * width, weight[0, 0].numel()
    if not count:
        return
    own = input.shape[1] // geometry.offset_groups
    constants = {
        'CHANNELS': input.shape[1],
        'TAPS_X': weight.shape[3],
        'TAPS': taps,
        'GROUPS': geometry.offset_groups,
        'STRIDE_Y': geometry.stride[0],
        'STRIDE_X': geometry.stride[1],
        'PAD_Y': geometry.padding[0],
        'PAD_X': geometry.padding[1],
        'DILATION_Y': geometry.dilation[0],
        'DILATION_X': geometry.dilation[1],
        'MASKED': mask is not None,
        'CHANNEL_BLOCK': min(triton.next_power_of_2(own), MAX_CHANNEL_BLOCK),
    }
    grid = triton.cdiv(count, options['BLOCK']), taps * geometry.offset_groups
    with on_device_of(input):
        kernel[grid](*tensors, count, *input.shape[2:], height, width, **constants, **options)
