"""Many tensors in one piece of memory."""

from collections.abc import Sequence

import torch
from torch import Tensor

ALIGNED = 8  # elements: 16 bytes of the smallest type, which is what wide loads and matrix products like


def flat_numel(shapes: Sequence[torch.Size]) -> int:
    """How many elements hold tensors of these shapes, each from an aligned offset."""
    return sum(_aligned(shape.numel()) for shape in shapes)


def cut(flat: Tensor, shapes: Sequence[torch.Size]) -> list[Tensor]:
    """Views of these shapes in `flat` [flat_numel(shapes)], one after the other."""
    pieces = flat.split([_aligned(shape.numel()) for shape in shapes])
    return [piece[: shape.numel()].view(shape) for piece, shape in zip(pieces, shapes, strict=True)]


def _aligned(numel: int) -> int:
    return -(-numel // ALIGNED) * ALIGNED
