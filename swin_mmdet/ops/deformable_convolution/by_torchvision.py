"""Deformable convolution through torchvision's operator, in float32 at least: it sums in the dtype it is given."""

import torch
import torchvision
from torch import Tensor

from swin_mmdet.ops.deformable_convolution.geometry import Geometry


def torchvision_convolution(
    input: Tensor, offset: Tensor, mask: Tensor | None, weight: Tensor, bias: Tensor | None, geometry: Geometry
) -> Tensor:
    """Shapes as in `deformable_convolution`; the shapes tell the groups."""
    dtype = torch.promote_types(input.dtype, torch.float32)
    tensors = [None if x is None else x.to(dtype) for x in (input, offset, weight, bias, mask)]
    *first, mask = tensors
    out = torchvision.ops.deform_conv2d(*first, geometry.stride, geometry.padding, geometry.dilation, mask)
    return out.to(input.dtype)
