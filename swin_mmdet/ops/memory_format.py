"""How maps lie in memory."""

import torch
from torch import Tensor


def is_channels_last(x: Tensor) -> bool:
    """Whether [B, C, H, W] has its channels innermost; of a map that is contiguous as well, no."""
    return x.is_contiguous(memory_format=torch.channels_last) and not x.is_contiguous()


def memory_format(channels_last: bool) -> torch.memory_format:
    """For the arguments of that name."""
    return torch.channels_last if channels_last else torch.contiguous_format
