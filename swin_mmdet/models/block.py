"""The blocks. Papers: arXiv 2103.14030, equation 3 (V1); arXiv 2111.09883, section 3.2 (V2)."""

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from swin_mmdet.models.window_attention import WindowAttention
from swin_mmdet.models.window_attention_v2 import WindowAttentionV2


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
    """z = x + attention(norm(x)); z + mlp(norm(z)): [B, H, W, C] -> [B, H, W, C]."""

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
        drop_path_rate: float = 0.0,
        attn_backend: str = 'auto',
        **attention_options,
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims)
        self.attn = self.attention_cls(
            dims, num_heads, window_size, shift_size, attn_drop_rate, attn_backend, **attention_options
        )
        self.drop = nn.Dropout(drop_rate)
        self.drop_path = StochasticDepth(drop_path_rate, mode='row')
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = Mlp(dims, int(dims * mlp_ratio), drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.drop(self.attn(self.norm1(x))))
        return x + self.drop_path(self.mlp(self.norm2(x)))


class SwinBlockV2(SwinBlock):
    """Residual post-norm: z = x + norm(attention(x)); z + norm(mlp(z)): [B, H, W, C] -> [B, H, W, C]."""

    attention_cls = WindowAttentionV2

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.norm1(self.drop(self.attn(x))))
        return x + self.drop_path(self.norm2(self.mlp(x)))
