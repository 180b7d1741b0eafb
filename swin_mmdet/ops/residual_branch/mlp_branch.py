"""The MLP half of a block, x + mlp(norm(x)), as one node of autograd that keeps x and the hidden map alone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from swin_mmdet.ops.residual_branch.linear import weight_gradient
from swin_mmdet.ops.residual_branch.pieces import Branch, Norm


def mlp_branch(
    x: Tensor,
    branch: Branch,
    norm: Norm,
    fc1_weight: Tensor,
    fc1_bias: Tensor,
    fc2_weight: Tensor,
    copies: Sequence[Tensor],
) -> tuple[Tensor, Tensor]:
    """Add the branch that is pending, normalise, two layers with GELU between.

    Args:
        x: [B, H, W, C], contiguous, of float32 or the step's dtype.
        branch: what is still to be added to `x`.
        copies: of `fc1_weight` and `fc2_weight` in the step's dtype, that of the matrix products.

    Returns:
        x with its branch, and the second layer without its bias: [B, H, W, C] each.
    """
    if torch.is_grad_enabled():
        return _MlpBranch.apply(x, *branch, *norm, fc1_weight, fc1_bias, fc2_weight, copies)
    x, out, _ = _forward(x, branch, norm, fc1_bias, copies, keep_hidden=False)
    return x, out


def _forward(
    x: Tensor, branch: Branch, norm: Norm, fc1_bias: Tensor, copies: Sequence[Tensor], *, keep_hidden: bool
) -> tuple[Tensor, Tensor, Tensor]:
    from swin_mmdet.ops.residual_branch.triton_launch import gelu_forward, norm_forward

    fc1_weight, fc2_weight = copies
    x, y = norm_forward(x, branch, norm, fc1_weight.dtype)
    hidden = F.linear(y, fc1_weight)
    activated = gelu_forward(hidden, fc1_bias, torch.empty_like(hidden) if keep_hidden else hidden)
    return x, F.linear(activated, fc2_weight), hidden


class _MlpBranch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x, values, branch_bias, branch_scale, norm_weight, norm_bias, eps, fc1_weight, fc1_bias, _fc2_weight,
        copies,
    ):  # fmt: skip
        branch, norm = Branch(values, branch_bias, branch_scale), Norm(norm_weight, norm_bias, eps)
        x, out, hidden = _forward(x, branch, norm, fc1_bias, copies, keep_hidden=True)
        ctx.save_for_backward(x, hidden, branch_bias, branch_scale, norm_weight, norm_bias, fc1_bias, *copies)
        ctx.branch_dtype, ctx.eps, ctx.weight_dtype = values.dtype, eps, fc1_weight.dtype
        ctx.set_materialize_grads(False)
        return x, out

    @staticmethod
    @once_differentiable
    def backward(ctx, dx_out, dout):
        from swin_mmdet.ops.residual_branch.triton_launch import gelu_backward, norm_backward

        x, hidden, branch_bias, branch_scale, norm_weight, norm_bias, fc1_bias, *copies = ctx.saved_tensors
        fc1_weight, fc2_weight = copies
        dout = dout.contiguous()
        dhidden, activated, dfc1_bias = gelu_backward(hidden, fc1_bias, torch.matmul(dout, fc2_weight))
        dfc2_weight = weight_gradient(dout, activated, ctx.weight_dtype)
        del activated
        norm = Norm(norm_weight, norm_bias, ctx.eps)
        dy = torch.matmul(dhidden, fc1_weight)
        dx, dvalues, y, sums = norm_backward(x, dy, dx_out, branch_scale, ctx.branch_dtype, norm, with_y=True)
        dfc1_weight = weight_gradient(dhidden, y, ctx.weight_dtype)
        dnorm_weight, dnorm_bias, dbranch_bias = sums.unbind()
        return (
            dx, dvalues, dbranch_bias.to(branch_bias.dtype), None, dnorm_weight.to(norm_weight.dtype),
            dnorm_bias.to(norm_bias.dtype), None, dfc1_weight, dfc1_bias.to(fc1_bias.dtype), dfc2_weight, None,
        )  # fmt: skip
