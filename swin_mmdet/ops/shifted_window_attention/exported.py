"""Shifted window attention for exported programs: one program serves maps of every height and width.

Padding, roll and partition are one gather of tokens, and their reverse is another: each of them alone asks whether a
size is 1 or divisible, and a program would serve only sizes that answer as the example's did. A window more than there
are keeps their number from being 1, which is asked of any tensor's first axis.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.relative_position import relative_position_bias
from swin_mmdet.ops.shifted_window_attention.windowed_heads import scaled_directions
from swin_mmdet.ops.windows import padded_size


def gathered_attention(
    qkv: Tensor,
    bias_table: Tensor,
    pad_value: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float,
    dropout_p: float,
    *,
    through_sdpa: bool,
) -> Tensor:
    """The reference's formula. Shapes as in `shifted_window_attention`."""
    batch, height, width, channels = qkv.shape
    heads, n = bias_table.shape[1], window_size**2
    y, x, exists = _window_coordinates(height, width, window_size, shift_size, qkv.device)
    windows = _count(height, window_size) * _count(width, window_size) + 1

    padding = qkv.new_zeros(channels) if pad_value is None else pad_value.to(qkv.dtype)
    # the padding token stands behind those of all images
    tokens = torch.cat([qkv.reshape(batch * height * width, channels), padding[None]])
    first = torch.arange(batch, device=qkv.device)[:, None] * (height * width)
    taken = torch.where(exists & (y < height) & (x < width), first + y * width + x, batch * height * width)
    taken = tokens.index_select(0, taken.flatten()).unflatten(0, (batch * windows, n))
    # [B*w, h, n, d] each
    q, k, v = taken.unflatten(-1, (3, heads, -1)).permute(2, 0, 3, 1, 4).unbind(0)
    if cosine_scale is not None:
        q, k = scaled_directions(q, k, cosine_scale)

    bias = relative_position_bias(bias_table, window_size)[None]
    if shift_size:
        # after the roll the first `shift_size` of an axis share windows with its other border
        region = (2 * (y < shift_size) + (x < shift_size)).unflatten(0, (windows, n))
        apart = (region[:, :, None] != region[:, None, :]).repeat(batch, 1, 1)
        bias = bias.masked_fill(apart[:, None], float('-inf'))
    if through_sdpa:
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=bias.to(q.dtype), dropout_p=dropout_p, scale=scale)
    else:
        attn = F.dropout((scale * q @ k.mT + bias).softmax(-1), dropout_p)
        out = attn.to(v.dtype) @ v

    indices = _window_indices(height, width, window_size, shift_size, qkv.device)
    first = torch.arange(batch, device=qkv.device)[:, None] * (windows * n)
    out = out.transpose(1, 2).reshape(batch * windows * n, channels // 3)
    return out.index_select(0, (first + indices).flatten()).unflatten(0, (batch, height, width))


def _count(size: int, window_size: int) -> int:
    return padded_size(size, window_size) // window_size


def _window_coordinates(
    height: int, width: int, window_size: int, shift_size: int, device: torch.device
) -> tuple[Tensor, Tensor, Tensor]:
    """Rows and columns in the padded map of what its shifted windows hold, and which exist: [w * n] each.

    Window by window; those of the last one do not exist.
    """
    n = window_size**2
    rows, columns = padded_size(height, window_size), padded_size(width, window_size)
    across = columns // window_size
    index = torch.arange(rows * columns + n, device=device)
    window, within = index // n, index % n
    row = window // across
    y = row * window_size + within // window_size + shift_size
    x = (window - row * across) * window_size + within % window_size + shift_size
    return torch.where(y < rows, y, y - rows), torch.where(x < columns, x, x - columns), index < rows * columns


def _window_indices(height: int, width: int, window_size: int, shift_size: int, device: torch.device) -> Tensor:
    """The inverse: the index among them of each token of the map, row by row. [H * W]."""
    rows, columns = padded_size(height, window_size), padded_size(width, window_size)
    token = torch.arange(height * width, device=device)
    row = token // width
    y, x = row - shift_size, token - row * width - shift_size
    y, x = torch.where(y < 0, y + rows, y), torch.where(x < 0, x + columns, x)
    window = y // window_size * (columns // window_size) + x // window_size
    return window * window_size**2 + y % window_size * window_size + x % window_size
