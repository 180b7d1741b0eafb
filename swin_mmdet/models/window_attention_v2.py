"""The attention of SwinV2. Paper: arXiv 2111.09883, section 3.2 and 3.3."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swin_mmdet.models.derived_buffers import DerivedBuffers
from swin_mmdet.models.plain import is_plain, linear
from swin_mmdet.ops import shifted_window_attention
from swin_mmdet.ops.relative_position import relative_coords_table
from swin_mmdet.ops.windows import pad_to_windows

MAX_LOGIT_SCALE = math.log(100)  # a temperature of at least 0.01
MAX_BIAS = 16
POSITION_HIDDEN = 512
QKV = linear('qkv', bias=False)


class WindowAttentionV2(DerivedBuffers, nn.Module):
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
        self.q_bias = nn.Parameter(torch.empty(dims))
        self.v_bias = nn.Parameter(torch.empty(dims))
        self.logit_scale = nn.Parameter(torch.empty(num_heads, 1, 1))
        self.cpb_mlp = nn.Sequential(
            nn.Linear(2, POSITION_HIDDEN), nn.ReLU(), nn.Linear(POSITION_HIDDEN, num_heads, bias=False)
        )
        self.proj = nn.Linear(dims, dims)
        self.pretrained_window_size = pretrained_window_size
        self.register_derived_buffers()
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Of this module, not of those in it: no biases, a temperature of 0.1."""
        nn.init.zeros_(self.q_bias)
        nn.init.zeros_(self.v_bias)
        nn.init.constant_(self.logit_scale, math.log(10))

    def derived_buffers(self) -> dict[str, Tensor]:
        """The offsets that the position MLP reads."""
        return {'relative_coords_table': relative_coords_table(self.window_size, self.pretrained_window_size)}

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
        _, height, width, _ = x.shape
        qkv_bias = self.qkv_bias()
        if is_plain(self.qkv, QKV):
            qkv, pad_value = F.linear(x, self.qkv.weight, qkv_bias), qkv_bias
        else:
            # see V1
            qkv, pad_value = self.qkv(pad_to_windows(x, self.window_size)), None
            qkv = qkv + qkv_bias.to(qkv.dtype)
        out = shifted_window_attention(
            qkv,
            self.bias_table(),
            window_size=self.window_size,
            shift_size=self.shift_size,
            cosine_scale=self.cosine_scale(),
            pad_value=pad_value,
            dropout_p=self.attn_drop_rate if self.training else 0.0,
            backend=self.attn_backend,
        )
        return self.proj(out[:, :height, :width])
