"""Norms outside the blocks: of the patches that enter, of a map that leaves, of the neighbourhoods of a merging.

Each keeps the map that it normalises, and no result.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from swin_mmdet.ops.residual_branch.linear import weight_gradient
from swin_mmdet.ops.residual_branch.pieces import NO_BRANCH, Branch, Norm


def patch_norm(
    image: Tensor, weight: Tensor, bias: Tensor, norm: Norm, copies: Sequence[Tensor], dtype: torch.dtype
) -> Tensor:
    """Patches as tokens, and their norm. The image gets no gradient.

    [B, c, H, W], of whole patches; weight [C, c, p, p] -> [B, H/p, W/p, C] of `dtype`. `copies` of weight and bias are
    of the dtype of the matrix product.
    """
    return _PatchNorm.apply(image, weight, bias, *norm, copies, dtype)


class _PatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, image, weight, bias, norm_weight, norm_bias, eps, copies, dtype):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_forward

        size = weight.shape[-1]
        patches = image.unflatten(2, (-1, size)).unflatten(4, (-1, size)).permute(0, 2, 4, 1, 3, 5)
        tokens = torch.empty(patches.shape, dtype=copies[0].dtype, device=image.device).copy_(patches).flatten(3)
        x = F.linear(tokens, copies[0].flatten(1), copies[1])
        _, y = norm_forward(x, None, Norm(norm_weight, norm_bias, eps), dtype)
        ctx.save_for_backward(tokens, x, weight, bias, norm_weight, norm_bias)
        ctx.eps = eps
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx, dy):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_backward

        tokens, x, weight, bias, norm_weight, norm_bias = ctx.saved_tensors
        dx, _, _, sums = norm_backward(x, dy.contiguous(), None, None, None, Norm(norm_weight, norm_bias, ctx.eps))
        dweight = weight_gradient(dx, tokens, weight.dtype).view_as(weight)
        dbias = dx.sum((0, 1, 2), dtype=torch.float32).to(bias.dtype)
        return None, dweight, dbias, sums[0].to(norm_weight.dtype), sums[1].to(norm_bias.dtype), None, None, None


def output_norm(
    x: Tensor,
    branch: Branch | None,
    norm: Norm,
    dtype: torch.dtype,
    *,
    channels_last: bool = False,
    reuse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Add the branch that is pending, if any: x [B, H, W, C], and its norm as a map of `dtype`, [B, C, H, W].

    The map is contiguous, or with `channels_last` has its channels innermost in memory.
    With `reuse`, and without gradients, they may take the memory of `x` and of the branch's values.
    """
    if not torch.is_grad_enabled():
        from swin_mmdet.ops.residual_branch.triton_launch import norm_forward

        x, out = norm_forward(x, branch, norm, dtype, channels_first=not channels_last, reuse=reuse)
    else:
        x, out = _OutputNorm.apply(x, *(branch or NO_BRANCH), *norm, dtype, not channels_last)
    return x, out.permute(0, 3, 1, 2) if channels_last else out


class _OutputNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, values, branch_bias, branch_scale, norm_weight, norm_bias, eps, dtype, channels_first):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_forward

        branch = None if values is None else Branch(values, branch_bias, branch_scale)
        norm = Norm(norm_weight, norm_bias, eps)
        x, out = norm_forward(x, branch, norm, dtype, channels_first=channels_first)
        ctx.save_for_backward(x, branch_bias, branch_scale, norm_weight, norm_bias)
        ctx.branch_dtype, ctx.eps = None if values is None else values.dtype, eps
        ctx.channels_first = channels_first
        ctx.set_materialize_grads(False)
        return x, out

    @staticmethod
    @once_differentiable
    def backward(ctx, dx_out, dout):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_backward

        x, branch_bias, branch_scale, norm_weight, norm_bias = ctx.saved_tensors
        if dout is None:  # nobody used the map
            dout = x.new_zeros(x.permute(0, 3, 1, 2).shape if ctx.channels_first else x.shape)
        norm = Norm(norm_weight, norm_bias, ctx.eps)
        dx, dvalues, _, sums = norm_backward(
            x, dout.contiguous(), dx_out, branch_scale, ctx.branch_dtype, norm, channels_first=ctx.channels_first
        )
        dnorm_weight, dnorm_bias, dbranch_bias = sums.unbind()
        dnorm_weight, dnorm_bias = dnorm_weight.to(norm_weight.dtype), dnorm_bias.to(norm_bias.dtype)
        dbranch_bias = None if branch_bias is None else dbranch_bias.to(branch_bias.dtype)
        return dx, dvalues, dbranch_bias, None, dnorm_weight, dnorm_bias, None, None, None


def merging(x: Tensor, norm: Norm, weight: Tensor, copy: Tensor) -> Tensor:
    """Norm and reduction of every 2x2 neighbourhood: [B, H, W, C] -> [B, ceil(H/2), ceil(W/2), 2C].

    `copy`, of the reduction's weight, is of the dtype of the result.
    """
    return _Merging.apply(x, *norm, weight, copy)


class _Merging(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, norm_weight, norm_bias, eps, weight, copy):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_forward

        _, y = norm_forward(x, None, Norm(norm_weight, norm_bias, eps), copy.dtype, merge=True)
        ctx.save_for_backward(x, norm_weight, norm_bias, copy)
        ctx.eps, ctx.weight_dtype = eps, weight.dtype
        return F.linear(y, copy)

    @staticmethod
    @once_differentiable
    def backward(ctx, dout):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_backward

        x, norm_weight, norm_bias, copy = ctx.saved_tensors
        dout = dout.contiguous()
        dy, norm = torch.matmul(dout, copy), Norm(norm_weight, norm_bias, ctx.eps)
        dx, _, y, sums = norm_backward(x, dy, None, None, None, norm, with_y=True, merge=True)
        dweight = weight_gradient(dout, y, ctx.weight_dtype)
        return dx, sums[0].to(norm_weight.dtype), sums[1].to(norm_bias.dtype), None, dweight, None
