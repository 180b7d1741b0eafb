"""What the fused operations take together."""

from typing import NamedTuple

from torch import Tensor


class Branch(NamedTuple):
    """A residual branch not yet added to its map x: the kernel that normalises x next does it in the same pass.

    The sum is x + scale * (values + bias).

    Attributes:
        values: [B, H, W, C], what the branch's last matrix product gave.
        bias: [C], of that product.
        scale: [B] float32, of stochastic depth: 0 or 1 / (1 - rate).
    """

    values: Tensor
    bias: Tensor
    scale: Tensor | None


NO_BRANCH = (None, None, None)


class Norm(NamedTuple):
    """A LayerNorm of C channels: weight [C] and bias [C]."""

    weight: Tensor
    bias: Tensor
    eps: float
