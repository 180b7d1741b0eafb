"""The extra attention of HTC++. Paper: arXiv 2103.14030, appendix A2.2."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from swin_mmdet.models.block import Mlp
from swin_mmdet.ops.stochastic_depth import draw_branch_scales, scale_branch
from swin_mmdet.registry import MODELS

HEAD_DIM = 32


@MODELS.register_module()
class GlobalAttention(BaseModule):
    """A transformer block over all tokens of the last map, before the neck that makes the pyramid.

    z = x + attention(norm1(x)); norm(z + mlp(norm2(z))). The paper says only "an extra global self-attention layer
    appended at the output of last stage". That it is a block with an MLP follows from the published parameters and
    FLOPs of HTC++: with attention alone they would be 8M (Swin-B) and 19M (Swin-L) less. The last norm keeps the map
    normalised, as those of the other stages are. There is no position embedding: the map may have any size.

    In a config a list puts it before the pyramid: `neck=[dict(type='swin_mmdet.GlobalAttention', ...), dict(...)]`.

    Args:
        in_channels: of the last map, or a list of those of all maps
        num_heads: a divisor of them; without it heads of 32 channels, as the backbone has
        mlp_ratio: width of the MLP over `in_channels`
        drop_path_rate: how often a branch is left out in training
    """

    def __init__(
        self,
        in_channels: int | Sequence[int],
        num_heads: int | None = None,
        mlp_ratio: float = 4.0,
        drop_path_rate: float = 0.0,
        init_cfg: dict | None = None,
    ) -> None:
        if not isinstance(in_channels, int):
            in_channels = in_channels[-1]
        num_heads = max(in_channels // HEAD_DIM, 1) if num_heads is None else num_heads
        if in_channels % num_heads:
            raise ValueError(f'GlobalAttention: in_channels={in_channels} is not divisible by num_heads={num_heads}')
        if not 0 <= drop_path_rate < 1:
            raise ValueError(f'GlobalAttention: drop_path_rate={drop_path_rate} must be at least 0 and less than 1')
        super().__init__(init_cfg)
        self.num_heads = num_heads
        self.drop_path_rate = drop_path_rate
        self.norm1 = nn.LayerNorm(in_channels)
        self.qkv = nn.Linear(in_channels, 3 * in_channels)
        self.proj = nn.Linear(in_channels, in_channels)
        self.norm2 = nn.LayerNorm(in_channels)
        self.mlp = Mlp(in_channels, int(in_channels * mlp_ratio))
        self.norm = nn.LayerNorm(in_channels)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                nn.init.zeros_(module.bias)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps [B, C, H, W] of which the last is replaced."""
        x = maps[-1].permute(0, 2, 3, 1)
        scales = (None, None)
        if self.training and self.drop_path_rate:
            keep = torch.full((2,), 1 - self.drop_path_rate, device=x.device)
            scales = draw_branch_scales(keep, len(x))
        x = x + scale_branch(self._attend(self.norm1(x)), scales[0])
        x = x + scale_branch(self.mlp(self.norm2(x)), scales[1])
        return (*maps[:-1], self.norm(x).permute(0, 3, 1, 2))

    def _attend(self, x: Tensor) -> Tensor:
        """Each token to all of its image: [B, H, W, C] -> [B, H, W, C]."""
        q, k, v = self.qkv(x).flatten(1, 2).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).reshape(x.shape))
