"""The two channel orders of patch merging. Their shapes are equal, so a wrong one would load without an error.

Concatenation order (official, timm, torchvision, detectron2, transformers, ours) lists whole pixels: pixel p of the
2x2 neighbourhood, taken column by column, gives channels p*C .. p*C + C-1. Unfold order (mmdet 3.x, mmpretrain) is
that of `nn.Unfold`: channel c gives its four pixels, taken row by row.
"""

from torch import Tensor

# pixel k of unfold's row-by-row walk (0,0), (0,1), (1,0), (1,1) is pixel COLUMN_WALK[k] of the column-by-column walk
COLUMN_WALK = [0, 2, 1, 3]


def from_unfold_order(value: Tensor) -> Tensor:
    """Last axis from unfold to concatenation order: [..., 4C] -> [..., 4C]; for norms [4C] and reductions [2C, 4C]."""
    pixels = value.unflatten(-1, (-1, 4))[..., COLUMN_WALK]
    return pixels.transpose(-1, -2).flatten(-2).contiguous()


def to_unfold_order(value: Tensor) -> Tensor:
    """The inverse of `from_unfold_order`."""
    pixels = value.unflatten(-1, (4, -1))[..., COLUMN_WALK, :]
    return pixels.transpose(-1, -2).flatten(-2).contiguous()
