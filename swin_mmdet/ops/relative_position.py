"""Relative position of a window's tokens, and the bias that a table holds for it. Paper: section 3.2, equation 4."""

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.tracing import remembered

CPU = torch.device('cpu')


@remembered(32)
def relative_position_index(window_size: int, device: torch.device = CPU) -> Tensor:
    """Row of the bias table for every (query, key) pair of a window: [n, n] int64, n = window_size**2.

    A table row stands for one offset (dy, dx) = query - key, dy first, each counted from -(window_size - 1). Computed
    once per size and device.
    """
    axis = torch.arange(window_size, device=device)
    y, x = (grid.flatten() for grid in torch.meshgrid(axis, axis, indexing='ij'))
    dy = y[:, None] - y[None, :] + window_size - 1
    dx = x[:, None] - x[None, :] + window_size - 1
    return dy * (2 * window_size - 1) + dx


def relative_position_bias(table: Tensor, window_size: int) -> Tensor:
    """Look the table up for every pair of a window: [(2*window_size - 1)**2, h] -> [h, n, n]."""
    tokens = window_size**2
    index = relative_position_index(window_size, table.device)
    return table[index.reshape(-1)].reshape(tokens, tokens, -1).permute(2, 0, 1)


def relative_coords_table(window_size: int, pretrained_window_size: int = 0) -> Tensor:
    """Log-spaced offsets of a window, the input of V2's position MLP: [1, 2*window_size-1, 2*window_size-1, 2] float32.

    SwinV2 paper (arXiv 2111.09883), section 3.3: sign(x) * log2(1 + |x|) / log2(8) of the offsets (dy, dx), scaled to
    -8 .. 8 over the window of the pre-training (0: this window), so that a larger window reaches a little further.
    """
    span = (pretrained_window_size or window_size) - 1
    axis = torch.arange(-(window_size - 1), window_size, dtype=torch.float32) * 8 / max(span, 1)
    axis = axis.sign() * torch.log2(axis.abs() + 1) / 3
    return torch.stack(torch.meshgrid(axis, axis, indexing='ij'), dim=-1)[None]


def window_size_of_table(table: Tensor) -> int:
    """The window size that a table [rows, h] was made for; `ValueError` when no square window has that many rows."""
    side = round(table.shape[0] ** 0.5)
    if side**2 != table.shape[0] or side % 2 == 0:
        raise ValueError(f'a relative position bias table of {table.shape[0]} rows belongs to no square window')
    return (side + 1) // 2


def resize_bias_table(table: Tensor, window_size: int) -> Tensor:
    """Bicubic resize of a table to another window, as the official loader does: [rows, h] -> [(2*window_size-1)**2, h].

    Interpolated in float32 (bicubic has no half kernel on every device), returned in the table's own dtype.
    """
    old, new = 2 * window_size_of_table(table) - 1, 2 * window_size - 1
    image = table.float().t().reshape(1, -1, old, old)
    image = F.interpolate(image, size=(new, new), mode='bicubic', align_corners=False)
    return image.reshape(-1, new**2).t().to(table.dtype).contiguous()
