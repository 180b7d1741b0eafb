"""A backbone alone as a program, for any number of images, and the proof that its maps are the backbone's."""

import copy
from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch import Tensor, nn

from swin_mmdet.errors import UserError
from swin_mmdet.export.pictures import batches
from swin_mmdet.export.program import Normalise
from swin_mmdet.export.proof import exact_convolutions, inputs_of
from swin_mmdet.export.runtime import Backbone, Batch

# the most that maps may differ: of float32 in all, of half precision in parts of the largest number
MOST, MOST_OF_HALF = 1e-4, 2e-2


class BackboneProgram(nn.Module):
    """Takes images [B, 3, H, W] uint8 RGB and their sizes [B, 2] int64 as a detector's program does.

    Returns a float32 map [B, C, H / stride, W / stride] for each of `names`.
    """

    def __init__(self, backbone: nn.Module, preprocessor: nn.Module, *, half: bool = False) -> None:
        super().__init__()
        self.dtype = torch.half if half else torch.float
        self.backbone = copy.deepcopy(backbone).eval().requires_grad_(False).to(self.dtype)
        self.prepare = Normalise(preprocessor)
        self.names = tuple(f'stride_{4 * 2**index}' for index in backbone.out_indices)

    def forward(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        return tuple(one.float() for one in self.backbone(self.prepare(images, sizes).to(self.dtype)))


@dataclass(frozen=True)
class MapDifference:
    """Of the maps of a batch: the most that two numbers differ, and the largest number."""

    batch: int
    size: tuple[int, int]
    maps: float
    largest: float

    def __str__(self) -> str:
        height, width = self.size
        return f'{self.batch} x {height}x{width}: maps {self.maps:.2g}, whose largest number is {self.largest:.2g}'


@torch.no_grad()
@exact_convolutions()
def prove_maps(
    backbone: nn.Module, preprocessor: nn.Module, exported: Backbone, sizes: Sequence[tuple[int, int]]
) -> list[MapDifference]:
    """The differences on drawn images: one, two that are padded otherwise, and three."""
    found = []
    for number, size in enumerate(sizes):
        whole, padded, empty = batches([size])
        images = ([whole], [padded, whole], [whole, padded, empty])[number % 3]
        batch = Batch(
            np.concatenate([one.images for one in images]), np.concatenate([one.sizes for one in images]), size
        )
        maps = exported.detect(batch)
        expected = backbone(torch.cat([inputs_of(preprocessor, one)[0] for one in images]))
        pairs = [(maps[name], one.cpu().numpy()) for name, one in zip(exported.about['outputs'], expected, strict=True)]
        most = max(float(np.abs(one - other).max()) for one, other in pairs)
        largest = max(float(np.abs(other).max()) for _, other in pairs)
        found.append(MapDifference(len(images), size, most, largest))
    return found


def check_maps(differences: Sequence[MapDifference], what: str, *, half: bool) -> list[dict]:
    """The report as it is kept.

    Raises:
        UserError: the maps are others.
    """
    failed = [one for one in differences if not one.maps <= (MOST_OF_HALF * one.largest if half else MOST)]
    if failed:
        limit = f'{MOST_OF_HALF} of the largest' if half else MOST
        raise UserError(
            f"{what} is not kept: its maps are not the backbone's (limit: {limit}): " + '; '.join(map(str, failed))
        )
    return [asdict(one) for one in differences]
