"""The blocks. Papers: arXiv 2103.14030, equation 3 (V1); arXiv 2111.09883, section 3.2 (V2)."""

from collections.abc import Sequence

from torch import Tensor, nn

from swin_mmdet.models.window_attention import WindowAttention
from swin_mmdet.models.window_attention_v2 import WindowAttentionV2
from swin_mmdet.ops.stochastic_depth import scale_branch

KEEP_BOTH = (None, None)


class Mlp(nn.Module):
    """Two layers with GELU, on the last axis: [..., C] -> [..., C]."""

    def __init__(self, dims: int, hidden_dims: int, drop_rate: float = 0.0) -> None:
        super().__init__()
        self.fc1 = nn.Linear(dims, hidden_dims)
        self.act = nn.GELU()
        self.fc2 = nn.Linear(hidden_dims, dims)
        self.drop = nn.Dropout(drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        return self.drop(self.fc2(self.drop(self.act(self.fc1(x)))))


class SwinBlock(nn.Module):
    """z = x + attention(norm(x)); z + mlp(norm(z)): [B, H, W, C] -> [B, H, W, C].

    `scales` of the two branches, [B] each or None, are those of stochastic depth.
    """

    attention_cls: type[nn.Module] = WindowAttention

    def __init__(
        self,
        dims: int,
        num_heads: int,
        window_size: int,
        shift_size: int,
        mlp_ratio: float = 4.0,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        attn_backend: str = 'auto',
        **attention_options,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims)
        self.attn = self.attention_cls(
            dims, num_heads, window_size, shift_size, attn_drop_rate, attn_backend, **attention_options
        )
        self.drop = nn.Dropout(drop_rate)
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = Mlp(dims, int(dims * mlp_ratio), drop_rate)

    def forward(self, x: Tensor, scales: Sequence[Tensor | None] = KEEP_BOTH) -> Tensor:
        x = x + scale_branch(self.drop(self.attn(self.norm1(x))), scales[0])
        return x + scale_branch(self.mlp(self.norm2(x)), scales[1])


class SwinBlockV2(SwinBlock):
    """Residual post-norm: z = x + norm(attention(x)); z + norm(mlp(z)): [B, H, W, C] -> [B, H, W, C]."""

    attention_cls = WindowAttentionV2

    def forward(self, x: Tensor, scales: Sequence[Tensor | None] = KEEP_BOTH) -> Tensor:
        x = x + scale_branch(self.norm1(self.drop(self.attn(x))), scales[0])
        return x + scale_branch(self.norm2(self.mlp(x)), scales[1])
