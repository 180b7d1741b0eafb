"""Weights that depend on a size, fitted to another: bias tables, position embeddings, the first convolution."""

from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.relative_position import resize_bias_table, window_size_of_table

if TYPE_CHECKING:
    import numpy as np

RESIZE_MODES = ('bicubic', 'geometric')


def resize_weight(key: str, value: Tensor, shape: torch.Size, mode: str) -> tuple[Tensor, str] | None:
    """The value in the wanted shape, with words on what was done; None where shapes must agree.

    Args:
        key: canonical.
        value: as in the file.
        shape: as in the model.
        mode: for bias tables, 'bicubic' as the official loader or 'geometric' as SimMIM's.
    """
    if key.endswith('.relative_position_bias_table') and value.dim() == 2 and value.shape[1] == shape[1]:
        old, new = window_size_of_table(value), window_size_of_table(torch.empty(shape, device='meta'))
        resize = resize_bias_table if mode == 'bicubic' else resize_bias_table_geometrically
        return resize(value, new), f'window {old} to {new}, {mode}'
    if key == 'absolute_pos_embed' and value.dim() == 4 and value.shape[:2] == shape[:2]:
        size = tuple(shape[2:])
        resized = F.interpolate(value.float(), size=size, mode='bicubic').to(value.dtype)
        return resized, f'{tuple(value.shape[2:])} to {size} tokens, bicubic'
    if (
        key == 'patch_embed.proj.weight'
        and value.dim() == 4
        and (value.shape[0], *value.shape[2:])
        == (
            shape[0],
            *shape[2:],
        )
    ):
        return inflate_input_channels(value, shape[1])
    return None


def inflate_input_channels(weight: Tensor, channels: int) -> tuple[Tensor, str]:
    """The first convolution for another number of input channels, with words on what was done.

    More channels take those of the file in turn (cycling), fewer take their mean (averaging), scaled so that an image
    with the same values in all channels gives the same response as before.
    """
    old = weight.shape[1]
    if channels > old:
        index = torch.arange(channels) % old
        # an incomplete last turn would weigh some channels of the file more often than others
        turns = torch.bincount(index, minlength=old)
        return weight[:, index] / turns[index, None, None], f'in_channels {old} to {channels}, cycling'
    mean = weight.mean(1, keepdim=True).expand(-1, channels, -1, -1)
    return mean * (old / channels), f'in_channels {old} to {channels}, averaging'


def resize_bias_table_geometrically(table: Tensor, window_size: int) -> Tensor:
    """Resize a table to another window with finer steps near the centre: [rows, h] -> [(2*window_size-1)**2, h].

    Public code behaviour of SimMIM (and BEiT, mmpretrain): the offsets of the old window are placed on the new window's
    axis at 0, 1, 1 + q, 1 + q + q**2, ..., with the q that puts the last one on the edge, and the values between them
    come from a bicubic spline. For a smaller window q stays near 1: the table is cropped.
    """
    import numpy as np
    from scipy.interpolate import RectBivariateSpline

    old, new = window_size_of_table(table), window_size
    steps = _growing_steps(old - 1, new - 1)
    axis = np.concatenate([-steps[::-1], [0.0], steps])
    wanted = np.arange(-(new - 1), new, dtype=np.float64)
    side = 2 * old - 1
    heads = table.double().t().reshape(-1, side, side).numpy()
    resized = [RectBivariateSpline(axis, axis, head)(wanted, wanted) for head in heads]
    return torch.from_numpy(np.stack(resized)).flatten(1).t().to(table.dtype).contiguous()


def _growing_steps(count: int, reach: int) -> 'np.ndarray':
    """`count` places 1, 1 + q, 1 + q + q**2, ... with the last at `reach`; q in 1.01 .. 1.5 by bisection."""
    import numpy as np

    low, high = 1.01, 1.5
    while high - low > 1e-6:
        q = (low + high) / 2
        low, high = (low, q) if np.sum(q ** np.arange(count)) > reach else (q, high)
    return np.cumsum(q ** np.arange(count))
