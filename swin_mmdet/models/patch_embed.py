"""Patches to tokens."""

import torch.nn.functional as F
from torch import Tensor, nn


class PatchEmbed(nn.Module):
    """Non-overlapping patches, each a token: [B, in_channels, H, W] -> [B, ceil(H/p), ceil(W/p), embed_dims].

    An image that is not a multiple of the patch is padded with zeros on the right and at the bottom.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int = 4) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.proj = nn.Conv2d(in_channels, embed_dims, patch_size, patch_size)
        self.norm = nn.LayerNorm(embed_dims)

    def pad(self, image: Tensor) -> Tensor:
        """Zeros to whole patches."""
        height, width = image.shape[-2:]
        right, bottom = -width % self.patch_size, -height % self.patch_size
        return F.pad(image, (0, right, 0, bottom)) if right or bottom else image

    def forward(self, image: Tensor) -> Tensor:
        return self.norm(self.proj(self.pad(image)).permute(0, 2, 3, 1))
