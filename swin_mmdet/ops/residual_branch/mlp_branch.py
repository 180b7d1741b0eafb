"""The MLP half of a block, x + mlp(norm(x)), as one node of autograd that keeps x and the hidden map alone.

And the MLP of SwinV2, whose norm is another node.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from torch.autograd.function import once_differentiable

from swin_mmdet.ops.residual_branch.linear import linear_into, parts, weight_gradient
from swin_mmdet.ops.residual_branch.pieces import Branch, Norm


def mlp_branch(
    x: Tensor,
    branch: Branch,
    norm: Norm,
    fc1_weight: Tensor,
    fc1_bias: Tensor,
    fc2_weight: Tensor,
    copies: Sequence[Tensor],
    *,
    reuse: bool = False,
) -> tuple[Tensor, Tensor]:
    """Add the branch that is pending, normalise, two layers with GELU between.

    Args:
        x: [B, H, W, C], contiguous, of float32 or the step's dtype.
        branch: what is still to be added to `x`.
        copies: of `fc1_weight` and `fc2_weight` in the step's dtype, that of the matrix products.
        reuse: without gradients, the results may take the memory of `x` and of the branch's values.

    Returns:
        x with its branch, and the second layer without its bias: [B, H, W, C] each.
    """
    if torch.is_grad_enabled():
        return _MlpBranch.apply(x, *branch, *norm, fc1_weight, fc1_bias, fc2_weight, copies)
    from swin_mmdet.ops.residual_branch.triton_launch import norm_forward

    x, y = norm_forward(x, branch, norm, copies[0].dtype, reuse=reuse)
    return x, _layers_by_parts(y, fc1_bias, copies, y)


def mlp(y: Tensor, fc1_weight: Tensor, fc1_bias: Tensor, fc2_weight: Tensor, copies: Sequence[Tensor]) -> Tensor:
    """SwinV2's: two layers with GELU, the second without bias, [B, H, W, C] -> [B, H, W, C]; a norm is after them."""
    if torch.is_grad_enabled():
        return _Mlp.apply(y, fc1_weight, fc1_bias, fc2_weight, copies)
    return _layers_by_parts(y, fc1_bias, copies, torch.empty_like(y))


def _layers_by_parts(y: Tensor, fc1_bias: Tensor, copies: Sequence[Tensor], out: Tensor) -> Tensor:
    """The result in the memory of `out`, which may be y; the hidden map is made of some tokens at a time."""
    from swin_mmdet.ops.residual_branch.triton_launch import gelu_forward

    tokens, results = y.view(-1, y.shape[-1]), out.view(-1, out.shape[-1])
    number = parts(len(tokens), len(copies[0]))
    for part, result in zip(tokens.chunk(number), results.chunk(number), strict=True):
        hidden = F.linear(part, copies[0])
        linear_into(result, gelu_forward(hidden, fc1_bias, hidden), copies[1])
        del hidden  # before the next one is made
    return out


def _layers(y: Tensor, fc1_bias: Tensor, copies: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
    """The result, and what was before GELU for backward."""
    from swin_mmdet.ops.residual_branch.triton_launch import gelu_forward

    hidden = F.linear(y, copies[0])
    return F.linear(gelu_forward(hidden, fc1_bias, torch.empty_like(hidden)), copies[1]), hidden


def _layers_backward(
    dout: Tensor, hidden: Tensor, fc1_bias: Tensor, copies: Sequence[Tensor], weight_dtype: torch.dtype
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The gradients of y, of the hidden map, of the first layer's bias and of the second's weight."""
    from swin_mmdet.ops.residual_branch.triton_launch import gelu_backward

    dout = dout.contiguous()
    dhidden, activated, dfc1_bias = gelu_backward(hidden, fc1_bias, torch.matmul(dout, copies[1]))
    dfc2_weight = weight_gradient(dout, activated, weight_dtype)
    return torch.matmul(dhidden, copies[0]), dhidden, dfc1_bias.to(fc1_bias.dtype), dfc2_weight


class _MlpBranch(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx, x, values, branch_bias, branch_scale, norm_weight, norm_bias, eps, fc1_weight, fc1_bias, _fc2_weight,
        copies,
    ):  # fmt: skip
        from swin_mmdet.ops.residual_branch.triton_launch import norm_forward

        branch, norm = Branch(values, branch_bias, branch_scale), Norm(norm_weight, norm_bias, eps)
        x, y = norm_forward(x, branch, norm, copies[0].dtype)
        out, hidden = _layers(y, fc1_bias, copies)
        ctx.save_for_backward(x, hidden, branch_bias, branch_scale, norm_weight, norm_bias, fc1_bias, *copies)
        ctx.branch_dtype, ctx.eps, ctx.weight_dtype = values.dtype, eps, fc1_weight.dtype
        ctx.set_materialize_grads(False)
        return x, out

    @staticmethod
    @once_differentiable
    def backward(ctx, dx_out, dout):
        from swin_mmdet.ops.residual_branch.triton_launch import norm_backward

        x, hidden, branch_bias, branch_scale, norm_weight, norm_bias, fc1_bias, *copies = ctx.saved_tensors
        dy, dhidden, dfc1_bias, dfc2_weight = _layers_backward(dout, hidden, fc1_bias, copies, ctx.weight_dtype)
        norm = Norm(norm_weight, norm_bias, ctx.eps)
        dx, dvalues, y, sums = norm_backward(x, dy, dx_out, branch_scale, ctx.branch_dtype, norm, with_y=True)
        dnorm_weight, dnorm_bias, dbranch_bias = sums.unbind()
        return (
            dx, dvalues, dbranch_bias.to(branch_bias.dtype), None, dnorm_weight.to(norm_weight.dtype),
            dnorm_bias.to(norm_bias.dtype), None, weight_gradient(dhidden, y, ctx.weight_dtype), dfc1_bias,
            dfc2_weight, None,
        )  # fmt: skip


class _Mlp(torch.autograd.Function):
    @staticmethod
    def forward(ctx, y, fc1_weight, fc1_bias, _fc2_weight, copies):
        out, hidden = _layers(y, fc1_bias, copies)
        ctx.save_for_backward(y, hidden, fc1_bias, *copies)
        ctx.weight_dtype = fc1_weight.dtype
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx, dout):
        y, hidden, fc1_bias, *copies = ctx.saved_tensors
        dy, dhidden, dfc1_bias, dfc2_weight = _layers_backward(dout, hidden, fc1_bias, copies, ctx.weight_dtype)
        return dy, weight_gradient(dhidden, y, ctx.weight_dtype), dfc1_bias, dfc2_weight, None
