"""Matrix products in the dtype of a step, with parameters of another."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swin_mmdet.ops.flat import cut, flat_numel

# values of the widest map that is made at a time where nothing keeps it for backward: 48 MiB in half precision, which
# is still many times what fills a GPU. Of two images of 800x1344 the parts of qkv are then the largest of all, so that
# the MLP's take their memory
PART = 3 * 2**23
# since torch 2.8, on GPUs: half factors with their float32 sum as it is
_MM_TAKES_OUT_DTYPE = 'dtype' in torch.ops.aten.mm.overloads()


def in_dtype(parameters: Sequence[Tensor], dtype: torch.dtype) -> Sequence[Tensor]:
    """Parameters in the dtype of a step, without gradients; all of them by one kernel."""
    if all(parameter.dtype == dtype for parameter in parameters):
        return [parameter.detach() for parameter in parameters]
    shapes = [parameter.shape for parameter in parameters]
    copies = cut(torch.empty(flat_numel(shapes), dtype=dtype, device=parameters[0].device), shapes)
    with torch.no_grad():
        torch._foreach_copy_(copies, parameters)
    return copies


def parts(rows: int, width: int) -> int:
    """Into how many parts rows go whose widest map is so wide."""
    return max(1, -(-rows * width // PART))


def linear_into(out: Tensor, y: Tensor, weight: Tensor) -> None:
    """y [..., N] times weight [C, N], written to the memory of `out` [..., C]; without gradients."""
    torch.mm(y.view(-1, y.shape[-1]), weight.t(), out=out.view(-1, out.shape[-1]))


def weight_gradient(dy: Tensor, y: Tensor, dtype: torch.dtype) -> Tensor:
    """Of the weight [N, C] in y [..., C] -> [..., N]: sum of dy^T y over all tokens, in `dtype`."""
    dy, y = dy.view(-1, dy.shape[-1]), y.view(-1, y.shape[-1])
    if dtype == torch.float32 and dy.dtype != dtype and dy.is_cuda and _MM_TAKES_OUT_DTYPE:
        return torch.mm(dy.t(), y, out_dtype=dtype)
    return torch.mm(dy.t(), y).to(dtype)
