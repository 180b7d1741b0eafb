"""SwinV2's residual sum, whose branch is normalised: one node of autograd that keeps the branch alone."""

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from swin_mmdet.ops.residual_branch.pieces import Branch, Norm


def post_norm(
    x: Tensor, branch: Branch, norm: Norm, dtype: torch.dtype, *, reuse: bool = False
) -> tuple[Tensor, Tensor]:
    """x + scale * norm(values + bias): [B, H, W, C], and the same in `dtype`, that of the matrix products.

    With `reuse`, and without gradients, they may take the memory of `x` and of the branch's values.
    """
    if not torch.is_grad_enabled():
        from swin_mmdet.ops.residual_branch.triton_launch import post_norm_forward

        return post_norm_forward(x, branch, norm, dtype, reuse=reuse)
    return _PostNorm.apply(x, *branch, *norm, dtype)


class _PostNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, values, branch_bias, branch_scale, norm_weight, norm_bias, eps, dtype):
        from swin_mmdet.ops.residual_branch.triton_launch import post_norm_forward

        x_dtype = x.dtype
        x, low = post_norm_forward(
            x, Branch(values, branch_bias, branch_scale), Norm(norm_weight, norm_bias, eps), dtype
        )
        ctx.save_for_backward(values, branch_bias, branch_scale, norm_weight, norm_bias)
        ctx.eps, ctx.x_dtype = eps, x_dtype
        ctx.set_materialize_grads(False)
        # one tensor may not be two results
        return x, low.view_as(low) if low is x else low

    @staticmethod
    @once_differentiable
    def backward(ctx, dx_out, dlow):
        from swin_mmdet.ops.residual_branch.triton_launch import post_norm_backward

        values, branch_bias, branch_scale, norm_weight, norm_bias = ctx.saved_tensors
        branch, norm = Branch(values, branch_bias, branch_scale), Norm(norm_weight, norm_bias, ctx.eps)
        dx, dvalues, _, sums = post_norm_backward(branch, dx_out, dlow, norm, ctx.x_dtype)
        dnorm_weight, dnorm_bias, dbranch_bias = sums.unbind()
        dnorm_weight, dnorm_bias = dnorm_weight.to(norm_weight.dtype), dnorm_bias.to(norm_bias.dtype)
        return dx, dvalues, dbranch_bias.to(branch_bias.dtype), None, dnorm_weight, dnorm_bias, None, None
