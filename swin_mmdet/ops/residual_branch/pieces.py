"""What the fused operations take together."""

from typing import NamedTuple

from torch import Tensor


class Branch(NamedTuple):
    """A residual branch not yet added to its map x: the kernel that normalises x next does it in the same pass.

    The sum is x + scale * (values + bias).
    """

    values: Tensor  # [B, H, W, C]: what the branch's last matrix product gave
    bias: Tensor  # [C]: of that product
    scale: Tensor | None  # [B] float32, of stochastic depth: 0 or 1 / (1 - rate)


NO_BRANCH = (None, None, None)


class Norm(NamedTuple):
    """A LayerNorm."""

    weight: Tensor  # [C]
    bias: Tensor  # [C]
    eps: float
