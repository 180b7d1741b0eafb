"""Shifted window attention through `F.scaled_dot_product_attention`."""

import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.relative_position import relative_position_bias
from swin_mmdet.ops.shifted_window_attention.exported import gathered_attention
from swin_mmdet.ops.shifted_window_attention.reference import reference_attention
from swin_mmdet.ops.shifted_window_attention.windowed_heads import (
    join_windowed_heads,
    scaled_directions,
    split_windowed_heads,
)
from swin_mmdet.ops.tracing import is_exported, is_transformed
from swin_mmdet.ops.windows import padded_size, shift_mask


def sdpa_attention(
    qkv: Tensor,
    bias_table: Tensor,
    pad_value: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float,
    dropout_p: float,
) -> Tensor:
    """The reference's formula; the [n, n] attention matrix is PyTorch's to keep or to fuse away."""
    if is_exported():
        return gathered_attention(
            qkv, bias_table, pad_value, cosine_scale, window_size, shift_size, scale, dropout_p,
            through_sdpa=True,
        )  # fmt: skip
    batch, height, width, _ = qkv.shape
    if batch == 0 or is_transformed():
        # PyTorch's op returns a constant for an empty batch; the reference keeps the graph, which DDP waits for. In
        # torch.func the op has no gradient of the bias
        return reference_attention(qkv, bias_table, pad_value, cosine_scale, window_size, shift_size, scale, dropout_p)
    q, k, v = split_windowed_heads(qkv, bias_table.shape[1], window_size, shift_size, pad_value)
    if cosine_scale is not None:
        q, k = scaled_directions(q, k, cosine_scale)
    bias = relative_position_bias(bias_table, window_size).to(q.dtype)
    if shift_size:
        # windows times heads as heads: the sum of bias and mask is made once and broadcast over the batch
        padded = padded_size(height, window_size), padded_size(width, window_size)
        bias = bias + shift_mask(*padded, window_size, shift_size, q.dtype, q.device)[:, None]
        bias = bias.flatten(0, 1)
        shape = q.shape
        q, k, v = (x.flatten(1, 2) for x in (q, k, v))
    else:
        shape = q.shape
        q, k, v = (x.flatten(0, 1) for x in (q, k, v))
    out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias[None], dropout_p=dropout_p, scale=scale)
    return join_windowed_heads(out.reshape(shape), height, width, window_size, shift_size)
