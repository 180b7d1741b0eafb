"""Pixels of the maps of a feature pyramid in one row, of images that are padded to one size.

N pixels of L levels, of one after the other, each row by row. What is here depends on sizes alone: it is made on the
device from numbers of the host, kept for the sizes that come again, and not to be written into. Images that are all
unpadded share one row: B is 1 then.
"""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from swin_mmdet.ops.coordinates import wavelengths
from swin_mmdet.ops.to_device import to_device
from swin_mmdet.ops.tracing import is_exported, remembered

Size = tuple[int, int]  # height and width
# of the images of one size that were seen last: most of what is kept takes some MB each
KEPT = 4


class Pyramid(NamedTuple):
    """Sizes of the levels' maps, and how much of them each image fills."""

    sizes: tuple[Size, ...]  # of each level
    # of each image and level, from the first row and column on; in a program columns and rows, [B, L, 2] float32
    filled: tuple[tuple[Size, ...], ...] | Tensor

    @property
    def is_padded(self) -> bool:
        """Whether an image does not fill its maps."""
        return isinstance(self.filled, Tensor) or any(image != self.sizes for image in self.filled)


class SineSettings(NamedTuple):
    """mmdet's `SinePositionalEncoding`, by its names."""

    num_feats: int
    temperature: float
    normalize: bool
    scale: float
    eps: float
    offset: float


@remembered(KEPT)
def level_shapes(sizes: tuple[Size, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Heights and widths [L, 2] and first pixels [L], int64."""
    starts = [sum(height * width for height, width in sizes[:level]) for level in range(len(sizes))]
    with torch.inference_mode(False):
        numbers = _put([[*size, start] for size, start in zip(sizes, starts, strict=True)], device, torch.int64)
        return numbers[:, :2].contiguous(), numbers[:, 2].contiguous()


@remembered(KEPT)
def padding(pyramid: Pyramid, device: torch.device) -> Tensor | None:
    """Which pixels are beside the image [B, N] bool; None when none is in any image."""
    if not pyramid.is_padded:
        return None
    level, at = _pixels(pyramid.sizes, device)
    with torch.inference_mode(False):
        return (at >= _filled(pyramid, device)[:, level]).any(-1)


@remembered(KEPT)
def filled_shares(pyramid: Pyramid, device: torch.device) -> Tensor:
    """How much of each map's width and height the image fills, `valid_ratios` of mmdet: [images, L, 2] float32."""
    with torch.inference_mode(False):
        shapes = _put([[size[::-1] for size in pyramid.sizes]], device, torch.float32)
        return (_filled(pyramid, device) / shapes).expand(len(pyramid.filled), -1, -1)


@remembered(KEPT)
def reference_points(pyramid: Pyramid, device: torch.device) -> Tensor:
    """Where each pixel's center lies in the maps of all levels, in shares of them: (x, y) [images, N, L, 2] float32."""
    with torch.inference_mode(False):
        shares = filled_shares(pyramid, device)[:, None]
        return _centers(pyramid, device)[:, :, None].expand(len(pyramid.filled), -1, -1, -1) * shares


@remembered(KEPT)
def proposals(pyramid: Pyramid, device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each pixel a box around its center, before the sigmoid, [B, N, 4] float32, and whether it is none [B, N] bool.

    The box of a pixel beside the image, or too near to its border, is infinite. Level l's are 0.05 * 2**l wide, in
    shares of the image.
    """
    level, _ = _pixels(pyramid.sizes, device)
    with torch.inference_mode(False):
        center = _centers(pyramid, device)
        side = (0.05 * 2.0**level).expand(len(center), -1)[..., None].expand(-1, -1, 2)
        boxes = torch.cat([center, side], -1)
        nothing = ~((boxes > 0.01) & (boxes < 0.99)).all(-1)
        beside = padding(pyramid, device)
        nothing = nothing if beside is None else nothing | beside
        return torch.log(boxes / (1 - boxes)).masked_fill(nothing[..., None], math.inf), nothing


@remembered(KEPT)
def sine_rows_and_columns(pyramid: Pyramid, settings: SineSettings, device: torch.device) -> tuple[Tensor, Tensor]:
    """The encodings of all levels' rows [B, sum of H, F] and columns [B, sum of W, F], F = num_feats.

    The encoding of a pixel is that of its row and then that of its column.
    """
    with torch.inference_mode(False):
        filled = _filled(pyramid, device)
        encodings = []
        for axis in (0, 1):
            lengths = [size[axis] for size in pyramid.sizes]
            level = torch.cat([torch.full((length,), at, device=device) for at, length in enumerate(lengths)])
            number = torch.cat([torch.arange(1, length + 1, device=device) for length in lengths])
            filled_length = filled[..., 1 - axis][:, level]
            number = torch.minimum(number.float(), filled_length)
            if settings.normalize:
                number = (number + settings.offset) / (filled_length + settings.eps) * settings.scale
            angles = number[..., None] / wavelengths(settings.num_feats, settings.temperature, device)
            encodings.append(torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], -1).flatten(-2))
        return tuple(encodings)


@remembered(KEPT)
def sine_positions(pyramid: Pyramid, settings: SineSettings, device: torch.device) -> tuple[Tensor, ...]:
    """The encodings of each level's pixels: [B, H * W, 2 F] float32."""
    with torch.inference_mode(False):
        rows, columns = sine_rows_and_columns(pyramid, settings, device)
        heights, widths = zip(*pyramid.sizes, strict=True)
        encodings = []
        for row, column in zip(rows.split(heights, 1), columns.split(widths, 1), strict=True):
            shape = row.shape[0], row.shape[1], column.shape[1], -1
            both = row[:, :, None].expand(shape), column[:, None].expand(shape)
            encodings.append(torch.cat(both, -1).flatten(1, 2))
        return tuple(encodings)


@remembered(KEPT)
def _pixels(sizes: tuple[Size, ...], device: torch.device) -> tuple[Tensor, Tensor]:
    """Of each pixel its level [N] int64, and its column and row [N, 2] float32."""
    with torch.inference_mode(False):
        levels, pixels = [], []
        for level, (height, width) in enumerate(sizes):
            row, column = torch.meshgrid(
                torch.arange(height, dtype=torch.float32, device=device),
                torch.arange(width, dtype=torch.float32, device=device),
                indexing='ij',
            )
            pixels.append(torch.stack([column, row], -1).flatten(0, 1))
            levels.append(torch.full((height * width,), level, device=device))
        return torch.cat(levels), torch.cat(pixels)


def _centers(pyramid: Pyramid, device: torch.device) -> Tensor:
    """Of the pixels, in shares of what the image fills: (x, y) [B, N, 2]."""
    level, at = _pixels(pyramid.sizes, device)
    return (at + 0.5) / _filled(pyramid, device)[:, level]


def _filled(pyramid: Pyramid, device: torch.device) -> Tensor:
    """Columns and rows of the maps that the images fill: [B, L, 2] float32."""
    if isinstance(pyramid.filled, Tensor):
        return pyramid.filled
    images = pyramid.filled if pyramid.is_padded else pyramid.filled[:1]
    return _put([[size[::-1] for size in image] for image in images], device, torch.float32)


def _put(values: list, device: torch.device, dtype: torch.dtype) -> Tensor:
    if is_exported():
        # sizes may be free
        if isinstance(values, list | tuple):
            return torch.stack([_put(one, device, dtype) for one in values])
        return torch.scalar_tensor(values, dtype=dtype, device=device)
    return to_device(values, torch.empty(0, device=device), dtype)
