"""From the qkv map to heads in windows and back: what every backend without index arithmetic of its own shares."""

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.windows import pad_to_windows, padded_size, window_partition, window_reverse


def split_windowed_heads(
    qkv: Tensor, num_heads: int, window_size: int, shift_size: int, pad_value: Tensor | None
) -> tuple[Tensor, Tensor, Tensor]:
    """Pad, roll and partition: [B, H, W, 3C] -> q, k, v, each [B, w, h, n, d]."""
    qkv = pad_to_windows(qkv, window_size, pad_value)
    if shift_size:
        qkv = torch.roll(qkv, (-shift_size, -shift_size), dims=(1, 2))
    windows = window_partition(qkv, window_size)
    batch, count, tokens, channels = windows.shape
    heads = windows.reshape(batch, count, tokens, 3, num_heads, channels // 3 // num_heads)
    return heads.permute(3, 0, 1, 4, 2, 5).unbind(0)


def scaled_directions(q: Tensor, k: Tensor, scale: Tensor) -> tuple[Tensor, Tensor]:
    """Queries and keys of length one, queries times their head's `scale` [h]; each [B, w, h, n, d].

    In float32 at least: the smallest length that `F.normalize` divides by is zero in half.
    """
    kind = torch.promote_types(q.dtype, torch.float32)
    # for its gradient: the sum over tokens of each channel, then over channels, errs less than one over both
    scale = scale[:, None, None].expand(-1, 1, q.shape[-1])
    directions = F.normalize(q.to(kind), dim=-1) * scale
    return directions.to(q.dtype), F.normalize(k.to(kind), dim=-1).to(k.dtype)


def join_windowed_heads(out: Tensor, height: int, width: int, window_size: int, shift_size: int) -> Tensor:
    """Reverse, roll back and crop: [B, w, h, n, d] -> [B, height, width, h*d]."""
    out = out.transpose(2, 3).flatten(3)
    out = window_reverse(out, window_size, padded_size(height, window_size), padded_size(width, window_size))
    if shift_size:
        out = torch.roll(out, (shift_size, shift_size), dims=(1, 2))
    return out[:, :height, :width].contiguous()
