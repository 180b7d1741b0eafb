"""The parameters of window attention."""

import torch
from torch import Tensor, nn

from swin_mmdet.models.plain import is_plain, linear
from swin_mmdet.ops import shifted_window_attention
from swin_mmdet.ops.windows import pad_to_windows

QKV = linear('qkv')


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
        self.relative_position_bias_table = nn.Parameter(torch.empty((2 * window_size - 1) ** 2, num_heads))
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Of this module, not of those in it: no position bias."""
        nn.init.zeros_(self.relative_position_bias_table)

    def forward(self, x: Tensor) -> Tensor:
        _, height, width, _ = x.shape
        if is_plain(self.qkv, QKV):
            qkv, pad_value = self.qkv(x), self.qkv.bias
        else:
            # what padding tokens become only the module itself can tell: they go through it with the others
            qkv, pad_value = self.qkv(pad_to_windows(x, self.window_size)), None
        out = shifted_window_attention(
            qkv,
            self.relative_position_bias_table,
            window_size=self.window_size,
            shift_size=self.shift_size,
            pad_value=pad_value,
            dropout_p=self.attn_drop_rate if self.training else 0.0,
            backend=self.attn_backend,
        )
        return self.proj(out[:, :height, :width])
