"""Shifted window attention some windows at a time, forward and backward, for a CPU.

All that lies between two maps (queries, keys, values, logits, probabilities) is as large as a tile, which the memory
allocator has at hand again for the next one. At the size of a map it is fresh memory each time, and for the system to
clear its pages takes longer than the arithmetic does. The backward pass makes the probabilities once more, so that it
needs nothing but the qkv map.
"""

from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from swin_mmdet.ops.tracing import remembered
from swin_mmdet.ops.windows import padded_size, shift_mask, window_tokens

# qkv and logits of a tile. A quarter of it is as fast on quiet cores, but threads wait for each other once a tile, and
# that takes long where the cores have other work as well
TILE_BYTES = 2**24


class Tile(NamedTuple):
    """The tokens of m windows, n each, row by row."""

    tokens: Tensor  # [m*n] which token of the images is there, 0 where it is padding
    padding: Tensor  # [p] which of them are padding
    inside: Tensor  # [m*n - p] which are not
    mask: Tensor | None  # [m, n, n] of shifted windows

    def read(self, rows: Tensor, fill: Tensor | float, dtype: torch.dtype) -> Tensor:
        """[tokens, c] -> [m*n, c], with `fill` for padding."""
        tokens = rows.index_select(0, self.tokens).to(dtype)
        if len(self.padding):
            tokens[self.padding] = fill
        return tokens

    def write(self, tokens: Tensor, rows: Tensor) -> None:
        """[m*n, c] into [tokens, c], without the padding."""
        tokens = tokens.to(rows.dtype)
        if len(self.padding):
            rows.index_copy_(0, self.tokens[self.inside], tokens[self.inside])
        else:
            rows.index_copy_(0, self.tokens, tokens)


@remembered(32)
def cut_tiles(
    images: int, height: int, width: int, window_size: int, shift_size: int, max_windows: int, dtype: torch.dtype
) -> tuple[Tile, ...]:
    """The windows of some maps of `height` x `width` tokens, at most `max_windows` in a tile."""
    device = torch.device('cpu')
    tokens = window_tokens(height, width, window_size, shift_size, device)
    first = torch.arange(images, device=device)[:, None, None] * (height * width)
    tokens = torch.where(tokens < 0, tokens, tokens + first).flatten(0, 1)
    masks = None
    if shift_size:
        padded = padded_size(height, window_size), padded_size(width, window_size)
        masks = shift_mask(*padded, window_size, shift_size, dtype, device)
        masks = masks if images == 1 else masks.repeat(images, 1, 1)
    tiles = []
    for start in range(0, len(tokens), max_windows):
        indices = tokens[start : start + max_windows].flatten()
        padding, inside = (kind.nonzero().flatten() for kind in (indices < 0, indices >= 0))
        mask = None if masks is None else masks[start : start + max_windows]
        tiles.append(Tile(indices.clamp(min=0), padding, inside, mask))
    return tuple(tiles)


def _tiles(
    maps: tuple[Tensor, ...], heads: int, window_size: int, shift_size: int, dtype: torch.dtype
) -> Iterator[tuple[Tile, tuple[Tensor, ...]]]:
    """Each tile, with the tokens [tokens, c] of its images from each of the maps [B, H, W, c]; the first is qkv."""
    _, height, width, channels = maps[0].shape
    window_bytes = window_size**2 * (channels + heads * window_size**2) * dtype.itemsize
    max_windows = max(1, TILE_BYTES // window_bytes)
    windows = padded_size(height, window_size) * padded_size(width, window_size) // window_size**2
    # small maps share a tile
    for images in zip(*(one.split(max(1, max_windows // windows)) for one in maps), strict=True):
        rows = tuple(one.flatten(0, 2) for one in images)
        for tile in cut_tiles(len(images[0]), height, width, window_size, shift_size, max_windows, dtype):
            yield tile, rows


def _to_heads(rows: Tensor, parts: int, heads: int, window_size: int) -> Tensor:
    """[m*n, parts*h*d] -> [parts, m*h, n, d]."""
    head_dim = rows.shape[1] // (parts * heads)
    return rows.view(-1, window_size**2, parts, heads, head_dim).permute(2, 0, 3, 1, 4).flatten(1, 2)


def _to_rows(parts: Tensor, heads: int) -> Tensor:
    """[parts, m*h, n, d] -> [m*n, parts*h*d]."""
    return parts.unflatten(1, (-1, heads)).permute(1, 3, 0, 2, 4).flatten(2).flatten(0, 1)


def _probabilities(q: Tensor, k: Tensor, bias: Tensor, mask: Tensor | None, scale: float) -> Tensor:
    """softmax(scale * q k^T + bias + mask): [m*h, n, n]."""
    # a product that adds to the bias in its place
    logits = bias.repeat(len(q) // len(bias), 1, 1) if mask is None else (bias + mask[:, None]).flatten(0, 1)
    return logits.baddbmm_(q, k.mT, alpha=scale).softmax(-1)


@torch.autocast('cpu', enabled=False)
def forward_in_tiles(
    qkv: Tensor, bias: Tensor, pad_value: Tensor, window_size: int, shift_size: int, scale: float
) -> Tensor:
    """softmax(scale * q k^T + bias + mask) v in every window, in the dtype of `bias`: [B, H, W, 3C] -> [B, H, W, C].

    `bias` [h, n, n] and `pad_value` [3C] are of one dtype, qkv may be of a smaller one; all are contiguous.
    """
    heads, dtype = len(bias), bias.dtype
    out = qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)
    for tile, (qkv_rows, out_rows) in _tiles((qkv, out), heads, window_size, shift_size, dtype):
        q, k, v = _to_heads(tile.read(qkv_rows, pad_value, dtype), 3, heads, window_size)
        values = _probabilities(q, k, bias, tile.mask, scale) @ v
        tile.write(_to_rows(values[None], heads), out_rows)
    return out


@torch.autocast('cpu', enabled=False)
def backward_in_tiles(
    dout: Tensor, qkv: Tensor, bias: Tensor, pad_value: Tensor, window_size: int, shift_size: int, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of qkv, bias and pad_value.

    dv = p^T dout    dp = dout v^T    ds = p * (dp - rowsum(p * dp))    dq = scale * ds k    dk = scale * ds^T q

    and of the bias the sum of ds over windows.
    """
    heads, dtype = len(bias), bias.dtype
    dqkv, dbias, dpad_value = torch.empty_like(qkv), torch.zeros_like(bias), torch.zeros_like(pad_value)
    maps = qkv, dout, dqkv
    for tile, (qkv_rows, dout_rows, dqkv_rows) in _tiles(maps, heads, window_size, shift_size, dtype):
        q, k, v = _to_heads(tile.read(qkv_rows, pad_value, dtype), 3, heads, window_size)
        (dvalues,) = _to_heads(tile.read(dout_rows, 0, dtype), 1, heads, window_size)
        p = _probabilities(q, k, bias, tile.mask, scale)
        dlogits = dvalues @ v.mT
        dlogits = (dlogits - (p * dlogits).sum(-1, keepdim=True)).mul_(p)
        dbias += dlogits.unflatten(0, (-1, heads)).sum(0)
        dlogits *= scale
        dheads = q.new_empty(3, *q.shape)
        torch.bmm(dlogits, k, out=dheads[0])
        torch.bmm(dlogits.mT, q, out=dheads[1])
        torch.bmm(p.mT, dvalues, out=dheads[2])
        rows = _to_rows(dheads, heads)
        dpad_value += rows[tile.padding].sum(0)
        tile.write(rows, dqkv_rows)
    return dqkv, dbias, dpad_value
