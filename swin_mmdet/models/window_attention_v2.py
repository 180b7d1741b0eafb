"""The attention of SwinV2. Paper: arXiv 2111.09883, section 3.2 and 3.3."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swin_mmdet.ops import shifted_window_attention
from swin_mmdet.ops.relative_position import relative_coords_table

MAX_LOGIT_SCALE = math.log(100)  # a temperature of at least 0.01
MAX_BIAS = 16
POSITION_HIDDEN = 512


class WindowAttentionV2(nn.Module):
    """Scaled cosine attention in the windows of a map, shifted by `shift_size`: [B, H, W, C] -> [B, H, W, C].

    Keys have no bias. The position bias is a function of log-spaced offsets (`cpb_mlp`), so that weights of one window
    serve another; `pretrained_window_size` is the window they were trained for, 0 for this one.
    """

    def __init__(
        self,
        dims: int,
        num_heads: int,
        window_size: int,
        shift_size: int,
        attn_drop_rate: float = 0.0,
        attn_backend: str = 'auto',
        pretrained_window_size: int = 0,
    ) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.window_size = window_size
        self.shift_size = shift_size
        self.attn_drop_rate = attn_drop_rate
        self.attn_backend = attn_backend
        self.qkv = nn.Linear(dims, 3 * dims, bias=False)
        self.q_bias = nn.Parameter(torch.zeros(dims))
        self.v_bias = nn.Parameter(torch.zeros(dims))
        self.logit_scale = nn.Parameter(torch.full((num_heads, 1, 1), math.log(10)))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, POSITION_HIDDEN), nn.ReLU(), nn.Linear(POSITION_HIDDEN, num_heads, bias=False)
        )
        self.proj = nn.Linear(dims, dims)
        table = relative_coords_table(window_size, pretrained_window_size)
        self.register_buffer('relative_coords_table', table, persistent=False)

    def bias_table(self) -> Tensor:
        """The position bias of every offset: [(2*window_size - 1)**2, h]."""
        return MAX_BIAS * self.cpb_mlp(self.relative_coords_table).reshape(-1, self.num_heads).sigmoid()

    def qkv_bias(self) -> Tensor:
        """[3C]."""
        return torch.cat([self.q_bias, torch.zeros_like(self.q_bias), self.v_bias])

    def cosine_scale(self) -> Tensor:
        """What a cosine is multiplied with: [h]."""
        return self.logit_scale.clamp(max=MAX_LOGIT_SCALE).exp().flatten()

    def forward(self, x: Tensor) -> Tensor:
        qkv_bias = self.qkv_bias()
        out = shifted_window_attention(
            F.linear(x, self.qkv.weight, qkv_bias),
            self.bias_table(),
            window_size=self.window_size,
            shift_size=self.shift_size,
            cosine_scale=self.cosine_scale(),
            pad_value=qkv_bias,
            dropout_p=self.attn_drop_rate if self.training else 0.0,
            backend=self.attn_backend,
        )
        return self.proj(out)
