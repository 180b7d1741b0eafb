"""Windows on a feature map: padding, cyclic shift, partition, and which tokens of a shifted window may see each other.

Paper: arXiv 2103.14030, section 3.2. Padding and shift follow the official detection code: pad on the right and at
the bottom, then roll, so that padding tokens are ordinary tokens of their window.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.tracing import remembered


def padded_size(size: int, window_size: int) -> int:
    """The smallest multiple of `window_size` that holds `size` tokens."""
    # not of negative numbers, which runtimes of programs with free sizes divide otherwise
    return (size + window_size - 1) // window_size * window_size


def pad_to_windows(x: Tensor, window_size: int, pad_value: Tensor | None = None) -> Tensor:
    """Pad right and bottom to whole windows: [B, H, W, C] -> [B, Hp, Wp, C].

    `pad_value` [C] is the token to pad with (zeros without it); its gradient is the sum over padding tokens.
    """
    batch, height, width, channels = x.shape
    right, bottom = padded_size(width, window_size) - width, padded_size(height, window_size) - height
    if pad_value is None:
        return F.pad(x, (0, 0, 0, right, 0, bottom)) if right or bottom else x
    pad_value = pad_value.to(x.dtype)
    if right:
        x = torch.cat([x, pad_value.expand(batch, height, right, channels)], dim=2)
    if bottom:
        x = torch.cat([x, pad_value.expand(batch, bottom, width + right, channels)], dim=1)
    return x


def window_partition(x: Tensor, window_size: int) -> Tensor:
    """Cut a padded map into windows: [B, H, W, C] -> [B, w, n, C], n = window_size**2, windows row by row."""
    batch, height, width, channels = x.shape
    rows, columns = height // window_size, width // window_size
    x = x.reshape(batch, rows, window_size, columns, window_size, channels)
    return x.transpose(2, 3).reshape(batch, rows * columns, window_size**2, channels)


def window_reverse(windows: Tensor, window_size: int, height: int, width: int) -> Tensor:
    """Put windows back into a padded map of `height` x `width` tokens: [B, w, n, C] -> [B, H, W, C]."""
    batch, _, _, channels = windows.shape
    rows, columns = height // window_size, width // window_size
    x = windows.reshape(batch, rows, columns, window_size, window_size, channels)
    return x.transpose(2, 3).reshape(batch, height, width, channels)


def shift_regions(size: int, shift_size: int, device: torch.device) -> Tensor:
    """Which side of the cyclic seam each token of one padded, shifted axis came from: [size] of 0 and 1.

    After rolling by `-shift_size` the last `shift_size` tokens came from the other border of the map. Only the last
    window holds both kinds, so two labels are enough: tokens of different windows never meet.
    """
    return (torch.arange(size, device=device) >= size - shift_size).long()


@remembered(32)
def shift_mask(
    height: int, width: int, window_size: int, shift_size: int, dtype: torch.dtype, device: torch.device
) -> Tensor:
    """Additive mask of a shifted, padded map of `height` x `width` tokens: [w, n, n], 0 where two tokens of a window
    were neighbours before the shift, -inf where not. Computed once per size, type and device.

    The official code adds -100 instead; -inf is the limit it approximates, and the two agree to the last bit of
    float64 as long as the logits of a window differ by less than 60.
    """
    rows = shift_regions(height, shift_size, device)
    columns = shift_regions(width, shift_size, device)
    region = (2 * rows[:, None] + columns)[None, :, :, None]
    region = window_partition(region, window_size)[0, :, :, 0]
    allowed = region[:, :, None] == region[:, None, :]
    return torch.zeros_like(allowed, dtype=dtype).masked_fill_(~allowed, float('-inf'))


def window_tokens(height: int, width: int, window_size: int, shift_size: int, device: torch.device) -> Tensor:
    """What padding, shift and partition put where: [w, n], numbers of the map's tokens row by row, -1 for padding."""
    rows, columns = -(-height // window_size), -(-width // window_size)
    y = (torch.arange(rows * window_size, device=device) + shift_size) % (rows * window_size)
    x = (torch.arange(columns * window_size, device=device) + shift_size) % (columns * window_size)
    y, x = y.reshape(rows, 1, window_size, 1), x.reshape(1, columns, 1, window_size)
    return torch.where((y < height) & (x < width), y * width + x, -1).reshape(rows * columns, window_size**2)
