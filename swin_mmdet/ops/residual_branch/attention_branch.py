"""The attention half of a block, x + attention(norm(x)), as one node of autograd that keeps x and the qkv map alone.

And the attention of SwinV2, whose norm is another node.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from swin_mmdet.ops.residual_branch.linear import linear_into, parts, weight_gradient
from swin_mmdet.ops.residual_branch.pieces import NO_BRANCH, Branch, Norm
from swin_mmdet.ops.shifted_window_attention import attention_backward, attention_forward

# where a cosine scale is
NO_SCALE = 1.0


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
    reuse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Add the branch that is pending, normalise, attend in windows, project.

    Args:
        x: [B, H, W, C], contiguous, of float32 or the step's dtype.
        branch: what is still to be added to `x`, or None.
        bias_table: [(2 * window_size - 1)**2, h].
        copies: of `qkv_weight`, `qkv_bias` and `proj_weight` in the step's dtype, that of the matrix products.
        window_size, shift_size, scale: as of `shifted_window_attention`.
        reuse: without gradients, the results may take the memory of the branch's values and, if there is a branch,
            of `x`.

    Returns:
        x with its branch, and the projection without its bias: [B, H, W, C] each.
    """
    geometry = window_size, shift_size, scale
    if torch.is_grad_enabled():
        return _AttentionBranch.apply(
            x, *(branch or NO_BRANCH), *norm, qkv_weight, qkv_bias, bias_table, proj_weight, copies, geometry
        )
    from swin_mmdet.ops.residual_branch.triton_launch import norm_forward

    x, y = norm_forward(x, branch, norm, copies[0].dtype, reuse=reuse)
    return x, _attend_by_parts(y, bias_table, None, copies, geometry, y)


def attention(
    y: Tensor,
    qkv_weight: Tensor,
    qkv_bias: Tensor,
    bias_table: Tensor,
    cosine_scale: Tensor,
    proj_weight: Tensor,
    copies: Sequence[Tensor],
    *,
    window_size: int,
    shift_size: int,
) -> Tensor:
    """SwinV2's: cosine attention in windows and its projection without the bias, [B, H, W, C] -> [B, H, W, C].

    The norm is after it, `post_norm`. `cosine_scale` is [h]; all else as of `attention_branch`.
    """
    geometry = window_size, shift_size, NO_SCALE
    if torch.is_grad_enabled():
        return _CosineAttention.apply(
            y, qkv_weight, qkv_bias, bias_table, cosine_scale, proj_weight, copies, geometry
        )
    return _attend_by_parts(y, bias_table, cosine_scale, copies, geometry, torch.empty_like(y))


def _attend_by_parts(
    y: Tensor,
    bias_table: Tensor,
    cosine_scale: Tensor | None,
    copies: Sequence[Tensor],
    geometry: tuple,
    out: Tensor,
) -> Tensor:
    """The projection in the memory of `out`, which may be y; the qkv map is made of some images at a time."""
    qkv_weight, qkv_bias, proj_weight = copies
    number = min(max(1, len(y)), parts(y[..., 0].numel(), len(qkv_weight)))
    for part, result in zip(y.chunk(number), out.chunk(number), strict=True):
        # no name for the qkv map: it is gone before the next one is made
        mixed = attention_forward(F.linear(part, qkv_weight, qkv_bias), bias_table, qkv_bias, cosine_scale, *geometry)
        linear_into(result, mixed, proj_weight)
    return out


def _attend(
    y: Tensor, bias_table: Tensor, cosine_scale: Tensor | None, copies: Sequence[Tensor], geometry: tuple
) -> tuple[Tensor, Tensor]:
    """The projection, and the qkv map for backward."""
    qkv_weight, qkv_bias, proj_weight = copies
    qkv = F.linear(y, qkv_weight, qkv_bias)
    return F.linear(attention_forward(qkv, bias_table, qkv_bias, cosine_scale, *geometry), proj_weight), qkv


def _attend_backward(
    dout: Tensor,
    qkv: Tensor,
    bias_table: Tensor,
    cosine_scale: Tensor | None,
    copies: Sequence[Tensor],
    geometry: tuple,
    weight_dtype: torch.dtype,
) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor | None, Tensor]:
    """The gradients of y, the qkv map, the bias of qkv, the table, the cosine scale and the projection's weight."""
    qkv_weight, qkv_bias, proj_weight = copies
    dout = dout.contiguous()
    dqkv, dtable, dqkv_bias, dcosine_scale, out = attention_backward(
        torch.matmul(dout, proj_weight), qkv, bias_table, qkv_bias, cosine_scale, *geometry,
        sum_all=True, with_out=True,
    )  # fmt: skip
    dproj_weight = weight_gradient(dout, out, weight_dtype)
    dqkv_bias, dtable = dqkv_bias.to(weight_dtype), dtable.to(bias_table.dtype)
    return torch.matmul(dqkv, qkv_weight), dqkv, dqkv_bias, dtable, dcosine_scale, dproj_weight


class _AttentionBranch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x, values, branch_bias, branch_scale, norm_weight, norm_bias, eps, qkv_weight, _qkv_bias, bias_table,
        _proj_weight, copies, geometry,
    ):  # fmt: skip
        from swin_mmdet.ops.residual_branch.triton_launch import norm_forward

        branch = None if values is None else Branch(values, branch_bias, branch_scale)
        x, y = norm_forward(x, branch, Norm(norm_weight, norm_bias, eps), copies[0].dtype)
        out, qkv = _attend(y, bias_table, None, copies, geometry)
        ctx.save_for_backward(x, qkv, branch_bias, branch_scale, norm_weight, norm_bias, bias_table, *copies)
        ctx.branch_dtype = None if values is None else values.dtype
        ctx.eps, ctx.geometry, ctx.weight_dtype = eps, geometry, qkv_weight.dtype
        ctx.set_materialize_grads(False)
        return x, out

    @staticmethod
    @once_differentiable
    def backward(ctx, dx_out, dout):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_backward

        x, qkv, branch_bias, branch_scale, norm_weight, norm_bias, bias_table, *copies = ctx.saved_tensors
        dy, dqkv, dqkv_bias, dtable, _, dproj_weight = _attend_backward(
            dout, qkv, bias_table, None, copies, ctx.geometry, ctx.weight_dtype
        )
        norm = Norm(norm_weight, norm_bias, ctx.eps)
        dx, dvalues, y, sums = norm_backward(x, dy, dx_out, branch_scale, ctx.branch_dtype, norm, with_y=True)
        dnorm_weight, dnorm_bias, dbranch_bias = sums.unbind()
        return (
            dx, dvalues, None if branch_bias is None else dbranch_bias.to(branch_bias.dtype), None,
            dnorm_weight.to(norm_weight.dtype), dnorm_bias.to(norm_bias.dtype), None,
            weight_gradient(dqkv, y, ctx.weight_dtype), dqkv_bias, dtable, dproj_weight, None, None,
        )  # fmt: skip


class _CosineAttention(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, qkv_weight, _qkv_bias, bias_table, cosine_scale, _proj_weight, copies, geometry):
        out, qkv = _attend(y, bias_table, cosine_scale, copies, geometry)
        ctx.save_for_backward(y, qkv, bias_table, cosine_scale, *copies)
        ctx.geometry, ctx.weight_dtype = geometry, qkv_weight.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, dout):
        y, qkv, bias_table, cosine_scale, *copies = ctx.saved_tensors
        dy, dqkv, dqkv_bias, dtable, dcosine_scale, dproj_weight = _attend_backward(
            dout, qkv, bias_table, cosine_scale, copies, ctx.geometry, ctx.weight_dtype
        )
        dqkv_weight = weight_gradient(dqkv, y, ctx.weight_dtype)
        dcosine_scale = dcosine_scale.to(cosine_scale.dtype)
        return dy, dqkv_weight, dqkv_bias, dtable, dcosine_scale, dproj_weight, None, None
