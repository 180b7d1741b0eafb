"""Numbers of the host on a GPU, without waiting for it."""

from collections.abc import Sequence

import torch
from torch import Tensor


def to_device(values: Sequence, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of `values` on the device of `like` and of its type, or of `dtype`.

    `like.new_tensor(values)` would wait until the GPU has done all it was given.
    """
    return torch.tensor(values, dtype=dtype or like.dtype).to(like.device, non_blocking=True)
