"""The Triton kernels as a PyTorch operator: shapes for tracing, gradients, and what it accepts."""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx, once_differentiable

from swin_mmdet.ops.tracing import is_traced
from swin_mmdet.ops.triton_available import why_not_kernels

HEAD_DIMS = (16, 32, 64)
MAX_WINDOW = 32


def why_not_triton(qkv: Tensor, bias_table: Tensor, window_size: int, dropout_p: float) -> str | None:
    """None when the kernels take this input, else the reason in words."""
    head_dim = qkv.shape[-1] // 3 // bias_table.shape[1]
    return why_not_kernels(qkv.device, qkv.dtype) or why_not_attention(head_dim, window_size, dropout_p)


def why_not_attention(head_dim: int, window_size: int, dropout_p: float) -> str | None:
    """None when the kernels take such heads and windows, else the reason in words."""
    if head_dim not in HEAD_DIMS:
        return f'head_dim={head_dim} is not one of {HEAD_DIMS}'
    if window_size > MAX_WINDOW:
        return f'window_size={window_size} is more than {MAX_WINDOW}'
    if dropout_p:
        return f'dropout_p={dropout_p}: it has no dropout of attention weights'
    return None


def triton_attention(
    qkv: Tensor,
    bias_table: Tensor,
    pad_value: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float,
    _dropout_p: float,
) -> Tensor:
    """The reference's formula in one kernel each way. Shapes as in `shifted_window_attention`."""
    pad = None if pad_value is None else pad_value.contiguous()
    cosine_scale = None if cosine_scale is None else cosine_scale.contiguous()
    # an operator takes PyTorch longer to call than the kernel takes to run on a small map: only who traces needs one
    run = _forward if is_traced() or type(qkv) is not Tensor else _ShiftedWindowAttention.apply
    return run(qkv.contiguous(), bias_table.contiguous(), pad, cosine_scale, window_size, shift_size, scale)


def attention_forward(
    qkv: Tensor,
    table: Tensor,
    pad: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float,
) -> Tensor:
    """The kernels' forward alone, for who is a node of autograd with it: [B, H, W, 3C] -> [B, H, W, C].

    Contiguous tensors that `why_not_triton` accepts; arguments as of `shifted_window_attention`.
    """
    from swin_mmdet.ops.shifted_window_attention.triton_launch import Call, launch_forward

    return launch_forward(Call(qkv, table, pad, cosine_scale, window_size, shift_size, scale))


def attention_backward(
    dout: Tensor,
    qkv: Tensor,
    table: Tensor,
    pad: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float,
    *,
    sum_all: bool = False,
    with_out: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """The gradients of qkv, and in float32 of the table, of pad [3C] and of cosine_scale [h] or None; out or None.

    `sum_all`: the third is the sum of the first over every token, those of the map and of the padding: the gradient of
    the qkv layer's bias, where pad is that bias. Else only over padding tokens, as is the gradient of a pad of its own.
    `with_out`: the last is what `attention_forward` returned, made again; else None.
    """
    from swin_mmdet.ops.shifted_window_attention.triton_launch import Call, launch_backward

    call = Call(qkv, table, pad, cosine_scale, window_size, shift_size, scale)
    return launch_backward(dout, call, sum_all=sum_all, with_out=with_out)


_forward = torch.library.custom_op(
    'swin_mmdet::shifted_window_attention', attention_forward, mutates_args=()
)


@torch.library.custom_op('swin_mmdet::shifted_window_attention_backward', mutates_args=())
def _backward(
    dout: Tensor,
    qkv: Tensor,
    table: Tensor,
    pad: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    *gradients, dcosine_scale, _ = attention_backward(
        dout, qkv, table, pad, cosine_scale, window_size, shift_size, scale
    )
    # an operator returns tensors only
    return *gradients, qkv.new_empty(0, dtype=torch.float32) if dcosine_scale is None else dcosine_scale


@_forward.register_fake
def _(qkv: Tensor, *_: object) -> Tensor:
    return qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)


@_backward.register_fake
def _(
    _dout: Tensor, qkv: Tensor, table: Tensor, _pad: Tensor | None, cosine_scale: Tensor | None, *_: object
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    sizes = table.shape, (qkv.shape[3],), (0 if cosine_scale is None else table.shape[1],)
    return torch.empty_like(qkv), *(qkv.new_empty(size, dtype=torch.float32) for size in sizes)


def _save(ctx: FunctionCtx, inputs: tuple, output: Tensor) -> None:  # noqa: ARG001
    *tensors, ctx.window_size, ctx.shift_size, ctx.scale = inputs
    ctx.save_for_backward(*tensors)


def _gradients(ctx: FunctionCtx, dout: Tensor, run: Callable) -> tuple[Tensor | None, ...]:
    qkv, table, pad, cosine_scale = ctx.saved_tensors
    dqkv, dtable, dpad, dcosine_scale, *_ = run(
        dout.contiguous(), qkv, table, pad, cosine_scale, ctx.window_size, ctx.shift_size, ctx.scale
    )
    dpad = None if pad is None else dpad.to(pad.dtype)
    dcosine_scale = None if cosine_scale is None else dcosine_scale.to(cosine_scale.dtype)
    return dqkv, dtable.to(table.dtype), dpad, dcosine_scale, None, None, None


_forward.register_autograd(lambda ctx, dout: _gradients(ctx, dout, _backward), setup_context=_save)


class _ShiftedWindowAttention(torch.autograd.Function):
    """The operator's forward and backward, without the operator."""

    @staticmethod
    def forward(ctx: FunctionCtx, *inputs: Any) -> Tensor:
        out = attention_forward(*inputs)
        _save(ctx, inputs, out)
        return out

    @staticmethod
    @once_differentiable
    def backward(ctx: FunctionCtx, dout: Tensor) -> tuple[Tensor | None, ...]:
        return _gradients(ctx, dout, attention_backward)
