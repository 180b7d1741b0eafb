"""The attention half of a block, x + attention(norm(x)), as one node of autograd that keeps x and the qkv map alone."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from swin_mmdet.ops.residual_branch.linear import weight_gradient
from swin_mmdet.ops.residual_branch.pieces import NO_BRANCH, Branch, Norm


def attention_branch(
    x: Tensor,
    branch: Branch | None,
    norm: Norm,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    bias_table: Tensor,
    proj_weight: Tensor,
    copies: Sequence[Tensor],
    *,
    window_size: int,
    shift_size: int,
    scale: float,
) -> tuple[Tensor, Tensor]:
    """Add the branch that is pending, normalise, attend in windows, project.

    Args:
        x: [B, H, W, C], contiguous, of float32 or the step's dtype.
        branch: what is still to be added to `x`, or None.
        bias_table: [(2 * window_size - 1)**2, h].
        copies: of `qkv_weight`, `qkv_bias` and `proj_weight` in the step's dtype, that of the matrix products.
        window_size, shift_size, scale: as of `shifted_window_attention`.

    Returns:
        x with its branch, and the projection without its bias: [B, H, W, C] each.
    """
    geometry = window_size, shift_size, scale
    if torch.is_grad_enabled():
        return _AttentionBranch.apply(
            x, *(branch or NO_BRANCH), *norm, qkv_weight, qkv_bias, bias_table, proj_weight, copies, geometry
        )
    x, out, _ = _forward(x, branch, norm, bias_table, copies, geometry)
    return x, out


def _forward(
    x: Tensor, branch: Branch | None, norm: Norm, bias_table: Tensor, copies: Sequence[Tensor], geometry: tuple
) -> tuple[Tensor, Tensor, Tensor]:
    from swin_mmdet.ops.residual_branch.triton_launch import norm_forward
    from swin_mmdet.ops.shifted_window_attention.triton_launch import launch_forward

    qkv_weight, qkv_bias, proj_weight = copies
    x, y = norm_forward(x, branch, norm, qkv_weight.dtype)
    qkv = F.linear(y, qkv_weight, qkv_bias)
    out = launch_forward(qkv, bias_table, qkv_bias, None, *geometry)
    return x, F.linear(out, proj_weight), qkv


class _AttentionBranch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x, values, branch_bias, branch_scale, norm_weight, norm_bias, eps, qkv_weight, _qkv_bias, bias_table,
        _proj_weight, copies, geometry,
    ):  # fmt: skip
        branch = None if values is None else Branch(values, branch_bias, branch_scale)
        x, out, qkv = _forward(x, branch, Norm(norm_weight, norm_bias, eps), bias_table, copies, geometry)
        ctx.save_for_backward(x, qkv, branch_bias, branch_scale, norm_weight, norm_bias, bias_table, *copies)
        ctx.branch_dtype = None if values is None else values.dtype
        ctx.eps, ctx.geometry, ctx.weight_dtype = eps, geometry, qkv_weight.dtype
        ctx.set_materialize_grads(False)
        return x, out

    @staticmethod
    @once_differentiable
    def backward(ctx, dx_out, dout):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_backward
        from swin_mmdet.ops.shifted_window_attention.triton_launch import launch_backward

        x, qkv, branch_bias, branch_scale, norm_weight, norm_bias, bias_table, *copies = ctx.saved_tensors
        qkv_weight, qkv_bias, proj_weight = copies
        dout = dout.contiguous()
        dqkv, dtable, dqkv_bias, _, attention = launch_backward(
            torch.matmul(dout, proj_weight), qkv, bias_table, qkv_bias, None, *ctx.geometry,
            sum_all=True, with_out=True,
        )  # fmt: skip
        dproj_weight = weight_gradient(dout, attention, ctx.weight_dtype)
        norm = Norm(norm_weight, norm_bias, ctx.eps)
        dy = torch.matmul(dqkv, qkv_weight)
        dx, dvalues, y, sums = norm_backward(x, dy, dx_out, branch_scale, ctx.branch_dtype, norm, with_y=True)
        dqkv_weight = weight_gradient(dqkv, y, ctx.weight_dtype)
        dnorm_weight, dnorm_bias, dbranch_bias = sums.unbind()
        return (
            dx, dvalues, None if branch_bias is None else dbranch_bias.to(branch_bias.dtype), None,
            dnorm_weight.to(norm_weight.dtype), dnorm_bias.to(norm_bias.dtype), None, dqkv_weight,
            dqkv_bias.to(ctx.weight_dtype), dtable.to(bias_table.dtype), dproj_weight, None, None,
        )  # fmt: skip
