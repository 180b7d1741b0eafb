"""The parameters of window attention."""

import torch
from torch import Tensor, nn

from swin_mmdet.ops import shifted_window_attention


class WindowAttention(nn.Module):
    """Attention in the windows of a map, shifted by `shift_size`: [B, H, W, C] -> [B, H, W, C]."""

    def __init__(
        self,
        dims: int,
        num_heads: int,
        window_size: int,
        shift_size: int,
        attn_drop_rate: float = 0.0,
        attn_backend: str = 'auto',
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.shift_size = shift_size
        self.attn_drop_rate = attn_drop_rate
        self.attn_backend = attn_backend
        self.qkv = nn.Linear(dims, 3 * dims)
        self.proj = nn.Linear(dims, dims)
        self.relative_position_bias_table = nn.Parameter(torch.zeros((2 * window_size - 1) ** 2, num_heads))

    def forward(self, x: Tensor) -> Tensor:
        out = shifted_window_attention(
            self.qkv(x),
            self.relative_position_bias_table,
            window_size=self.window_size,
            shift_size=self.shift_size,
            pad_value=self.qkv.bias,
            dropout_p=self.attn_drop_rate if self.training else 0.0,
            backend=self.attn_backend,
        )
        return self.proj(out)
