"""Attention in tiles as a PyTorch operator: gradients, shapes for tracing, and what it accepts."""

import torch
from torch import Tensor
from torch.autograd.function import FunctionCtx

from swin_mmdet.ops.relative_position import relative_position_bias
from swin_mmdet.ops.shifted_window_attention.tiles import backward_in_tiles, forward_in_tiles
from swin_mmdet.ops.shifted_window_attention.windowed_heads import scaled_directions
from swin_mmdet.ops.tracing import is_exported, is_transformed


def why_not_tiled(qkv: Tensor, _bias_table: Tensor, _window_size: int, dropout_p: float) -> str | None:
    """None when this backend takes the input, else the reason in words."""
    if qkv.device.type != 'cpu':
        return f'it is for a CPU, the tensors are on {qkv.device.type!r}'
    if dropout_p:
        return f'dropout_p={dropout_p}: it has no dropout of attention weights'
    if is_exported() or torch.jit.is_tracing():
        return 'an exported program should need no operator of ours'
    if is_transformed():
        return 'it has no rule for the transformations of torch.func'
    return None


def tiled_attention(
    qkv: Tensor,
    bias_table: Tensor,
    pad_value: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float,
    _dropout_p: float,
) -> Tensor:
    """The reference's formula, in float32 at least. Shapes as in `shifted_window_attention`."""
    if pad_value is None:
        pad_value = qkv.new_zeros(qkv.shape[-1])
    pad_value = pad_value.to(qkv.dtype)
    if cosine_scale is not None:
        qkv, pad_value = (_with_directions(x, cosine_scale) for x in (qkv, pad_value))
    dtype = torch.promote_types(qkv.dtype, torch.float32)
    bias = relative_position_bias(bias_table, window_size).to(dtype).contiguous()
    return _forward(qkv.contiguous(), bias, pad_value.to(dtype).contiguous(), window_size, shift_size, scale)


def _with_directions(qkv: Tensor, cosine_scale: Tensor) -> Tensor:
    """`scaled_directions` of queries and keys: [..., 3C] -> [..., 3C]."""
    q, k, v = qkv.unflatten(-1, (3, len(cosine_scale), 1, -1)).unbind(-4)
    return torch.stack([*scaled_directions(q, k, cosine_scale), v], dim=-4).flatten(-4)


@torch.library.custom_op('swin_mmdet::tiled_attention', mutates_args=())
def _forward(qkv: Tensor, bias: Tensor, pad_value: Tensor, window_size: int, shift_size: int, scale: float) -> Tensor:
    return forward_in_tiles(qkv, bias, pad_value, window_size, shift_size, scale)


@torch.library.custom_op('swin_mmdet::tiled_attention_backward', mutates_args=())
def _backward(
    dout: Tensor, qkv: Tensor, bias: Tensor, pad_value: Tensor, window_size: int, shift_size: int, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    return backward_in_tiles(dout, qkv, bias, pad_value, window_size, shift_size, scale)


@_forward.register_fake
def _(qkv: Tensor, *_: object) -> Tensor:
    return qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)


@_backward.register_fake
def _(_dout: Tensor, qkv: Tensor, bias: Tensor, pad_value: Tensor, *_: object) -> tuple[Tensor, Tensor, Tensor]:
    return torch.empty_like(qkv), torch.empty_like(bias), torch.empty_like(pad_value)


def _save(ctx: FunctionCtx, inputs: tuple, output: Tensor) -> None:  # noqa: ARG001
    qkv, bias, pad_value, *ctx.geometry = inputs
    ctx.save_for_backward(qkv, bias, pad_value)


_forward.register_autograd(
    lambda ctx, dout: (*_backward(dout.contiguous(), *ctx.saved_tensors, *ctx.geometry), None, None, None),
    setup_context=_save,
)
