"""A Swin block. Paper: equation 3."""

from torch import Tensor, nn
from torchvision.ops import StochasticDepth

from swin_mmdet.models.window_attention import WindowAttention


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
    ) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(dims)
        self.attn = WindowAttention(dims, num_heads, window_size, shift_size, attn_drop_rate, attn_backend)
        self.drop = nn.Dropout(drop_rate)
        self.drop_path = StochasticDepth(drop_path_rate, mode='row')
        self.norm2 = nn.LayerNorm(dims)
        self.mlp = Mlp(dims, int(dims * mlp_ratio), drop_rate)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self.drop_path(self.drop(self.attn(self.norm1(x))))
        return x + self.drop_path(self.mlp(self.norm2(x)))
