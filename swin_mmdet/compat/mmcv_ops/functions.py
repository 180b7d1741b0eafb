"""mmcv's functions that reach our kernels where those run: deformable attention and convolution; and NMS by class.

Beside speed: mmcv rounds the places of deformable attention to the type of the values, in bfloat16 by more than a
pixel; and its NMS by class fails where scores are of another type than boxes, as they are under autocast.
"""

import sys
from functools import wraps
from types import ModuleType

from torch import Tensor
from torch.nn.modules.utils import _pair

from swin_mmdet.compat.mmcv_ops.install import NAME, is_ours
from swin_mmdet.ops.deformable_attention import sample_levels
from swin_mmdet.ops.deformable_attention.triton_op import why_not_triton as why_not_attention
from swin_mmdet.ops.deformable_convolution import Geometry, deformable_convolution
from swin_mmdet.ops.deformable_convolution.geometry import leading
from swin_mmdet.ops.deformable_convolution.triton_op import why_not_triton as why_not_convolution

Pair = int | tuple[int, int]


def patch_attention(module: ModuleType) -> None:
    """`MultiScaleDeformableAttnFunction.apply`, which the layer calls for tensors on a GPU."""
    theirs = module.MultiScaleDeformableAttnFunction.apply

    @wraps(theirs)
    def apply(
        value: Tensor, shapes: Tensor, starts: Tensor, locations: Tensor, weights: Tensor, im2col_step: int
    ) -> Tensor:
        if is_ours(sys.modules[NAME]) or (value.is_cuda and why_not_attention(value) is None):
            return sample_levels(value, shapes, starts, locations, weights)
        return theirs(value, shapes, starts, locations, weights, im2col_step)

    module.MultiScaleDeformableAttnFunction.apply = staticmethod(apply)


def patch_convolution(module: ModuleType) -> None:
    """`deform_conv2d`."""
    theirs = module.deform_conv2d

    @wraps(theirs)
    def deform_conv2d(
        input: Tensor, offset: Tensor, weight: Tensor, stride: Pair = 1, padding: Pair = 0, dilation: Pair = 1,
        groups: int = 1, deform_groups: int = 1, bias: bool = False, im2col_step: int = 32,
    ) -> Tensor:  # fmt: skip
        if bias or not _runs_here(input, offset):
            return theirs(
                input, offset, weight, stride, padding, dilation, groups, deform_groups, bias, im2col_step
            )
        return _convolve(input, offset, None, weight, None, stride, padding, dilation, groups, deform_groups)

    vars(module)['deform_conv2d'] = deform_conv2d


def patch_modulated_convolution(module: ModuleType) -> None:
    """`modulated_deform_conv2d`."""
    theirs = module.modulated_deform_conv2d

    @wraps(theirs)
    def modulated_deform_conv2d(
        input: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor | None = None, stride: Pair = 1,
        padding: Pair = 0, dilation: Pair = 1, groups: int = 1, deform_groups: int = 1,
    ) -> Tensor:  # fmt: skip
        convolve = _convolve if _runs_here(input, offset) else theirs
        return convolve(input, offset, mask, weight, bias, stride, padding, dilation, groups, deform_groups)

    vars(module)['modulated_deform_conv2d'] = modulated_deform_conv2d


def patch_batched_nms(module: ModuleType) -> None:
    """`batched_nms` for boxes and scores of different types."""
    theirs = module.batched_nms

    @wraps(theirs)
    def batched_nms(boxes: Tensor, scores: Tensor, *args: object, **kwargs: object) -> object:
        return theirs(boxes, scores.to(boxes.dtype), *args, **kwargs)

    vars(module)['batched_nms'] = batched_nms


def _runs_here(input: Tensor, offset: Tensor) -> bool:
    # mmcv computes in the offset's type: under autocast the map may be float32 still
    return input.is_cuda and why_not_convolution(input.new_empty(0, dtype=offset.dtype)) is None


def _convolve(
    input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor | None, stride: Pair,
    padding: Pair, dilation: Pair, groups: int, deform_groups: int,
) -> Tensor:  # fmt: skip
    input, weight = input.type_as(offset), weight.type_as(offset)
    geometry = Geometry(_pair(stride), _pair(padding), _pair(dilation), groups, deform_groups)
    size = geometry.out_size(input, weight)
    offset = leading(offset, size)
    mask = None if mask is None else leading(mask.type_as(offset), size)
    bias = None if bias is None else bias.type_as(offset)
    return deformable_convolution(input, offset, weight, bias, mask, **geometry._asdict())
