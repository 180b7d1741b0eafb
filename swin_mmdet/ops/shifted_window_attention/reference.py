"""Shifted window attention as the paper writes it: the oracle of every other backend."""

import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.relative_position import relative_position_bias
from swin_mmdet.ops.shifted_window_attention.exported import gathered_attention
from swin_mmdet.ops.shifted_window_attention.windowed_heads import (
    join_windowed_heads,
    scaled_directions,
    split_windowed_heads,
)
from swin_mmdet.ops.tracing import is_exported
from swin_mmdet.ops.windows import padded_size, shift_mask


def reference_attention(
    qkv: Tensor,
    bias_table: Tensor,
    pad_value: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float,
    dropout_p: float,
) -> Tensor:
    """softmax(scale * q k^T + bias + mask) v in every window. Shapes as in `shifted_window_attention`."""
    if is_exported():
        return gathered_attention(
            qkv, bias_table, pad_value, cosine_scale, window_size, shift_size, scale, dropout_p,
            through_sdpa=False,
        )  # fmt: skip
    _, height, width, _ = qkv.shape
    q, k, v = split_windowed_heads(qkv, bias_table.shape[1], window_size, shift_size, pad_value)
    if cosine_scale is not None:
        q, k = scaled_directions(q, k, cosine_scale)
    attn = scale * q @ k.mT + relative_position_bias(bias_table, window_size)
    if shift_size:
        padded = padded_size(height, window_size), padded_size(width, window_size)
        attn = attn + shift_mask(*padded, window_size, shift_size, attn.dtype, attn.device)[:, None]
    attn = F.dropout(attn.softmax(-1), dropout_p)
    return join_windowed_heads(attn.to(v.dtype) @ v, height, width, window_size, shift_size)
