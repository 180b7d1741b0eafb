"""Four tokens to one, between the stages."""

import torch.nn.functional as F
from torch import Tensor, nn


class PatchMerging(nn.Module):
    """Each 2x2 neighbourhood becomes one token: [B, H, W, C] -> [B, ceil(H/2), ceil(W/2), 2C].

    Channels are concatenated in the official order, (row, column) = (0,0), (1,0), (0,1), (1,1). An odd side is padded
    with zeros before the norm.
    """

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(4 * dims)
        self.reduction = nn.Linear(4 * dims, 2 * dims, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.reduction(self.norm(join_neighbours(x)))


class PatchMergingV2(nn.Module):
    """The same with the norm after the reduction. Public code behaviour of SwinV2 (arXiv 2111.09883)."""

    def __init__(self, dims: int) -> None:
        super().__init__()
        self.reduction = nn.Linear(4 * dims, 2 * dims, bias=False)
        self.norm = nn.LayerNorm(2 * dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.reduction(join_neighbours(x)))


def join_neighbours(x: Tensor) -> Tensor:
    """[B, H, W, C] -> [B, ceil(H/2), ceil(W/2), 4C], padded with zeros where a side is odd."""
    batch, height, width, channels = x.shape
    if height % 2 or width % 2:
        x = F.pad(x, (0, 0, 0, width % 2, 0, height % 2))
    rows, columns = x.shape[1] // 2, x.shape[2] // 2
    return x.reshape(batch, rows, 2, columns, 2, channels).permute(0, 1, 3, 4, 2, 5).flatten(3)
