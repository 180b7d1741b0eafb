"""Corner pooling: evidence for a corner lies along the two edges that meet there (CornerNet, arXiv 1808.01244)."""

from mmcv.cnn import ConvModule
from torch import Tensor, nn


def edge_pool(x: Tensor, dim: int, backward: bool) -> Tensor:
    """The largest value from each position on, to the end of `dim`, or to its start where `backward`; shape of `x`."""
    if backward:
        return x.cummax(dim).values
    return x.flip(dim).cummax(dim).values.flip(dim)


class CornerPool(nn.Module):
    """[B, C, H, W] -> same, with what lies below and right of each position, or above and left where `backward`.

    Vertical and horizontal edges have `corner_dim` channels each. Names of parameters are the official ones.
    """

    # an export has another way to it
    pool = staticmethod(edge_pool)

    def __init__(self, channels: int, corner_dim: int, norm_cfg: dict | None, backward: bool) -> None:
        super().__init__()
        self.backward = backward
        self.p1_conv1 = ConvModule(channels, corner_dim, 3, padding=1, norm_cfg=norm_cfg)
        self.p2_conv1 = ConvModule(channels, corner_dim, 3, padding=1, norm_cfg=norm_cfg)
        self.p_conv1 = nn.Conv2d(corner_dim, channels, 3, padding=1, bias=False)
        self.p_gn1 = nn.GroupNorm(32, channels)
        self.conv1 = nn.Conv2d(channels, channels, 1, bias=False)
        self.gn1 = nn.GroupNorm(32, channels)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = ConvModule(channels, channels, 1, norm_cfg=norm_cfg)

    def forward(self, x: Tensor) -> Tensor:
        vertical = self.pool(self.p1_conv1(x), 2, self.backward)
        horizontal = self.pool(self.p2_conv1(x), 3, self.backward)
        pooled = self.p_gn1(self.p_conv1(vertical + horizontal))
        return self.conv2(self.relu1(pooled + self.gn1(self.conv1(x))))
