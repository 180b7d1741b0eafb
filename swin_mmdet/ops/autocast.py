"""What autocast does here."""

import torch
from torch import Tensor


def compute_dtype(x: Tensor) -> torch.dtype:
    """What autocast makes of x in a product."""
    device = x.device.type
    is_made = torch.is_autocast_enabled(device) and x.dtype != torch.float64
    return torch.get_autocast_dtype(device) if is_made else x.dtype


def without_cache(device: str) -> torch.autocast:
    """As it is outside, but weights are not kept in low precision: without gradients they would be taken again."""
    enabled, dtype = torch.is_autocast_enabled(device), torch.get_autocast_dtype(device)
    return torch.autocast(device, enabled=enabled, dtype=dtype, cache_enabled=False)
