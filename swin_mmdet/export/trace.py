"""A program of tensors, traced for one size of images or for all."""

import torch
import torch.fx.experimental._config as symbolic_shapes
from torch import nn
from torch.export import Dim, ExportedProgram

from swin_mmdet.export.options import ExportOptions
from swin_mmdet.export.program import DIVISOR

# of free sizes: no two maps have a side in common, and none is 1
EXAMPLE = 4 * DIVISOR, 6 * DIVISOR


def trace(program: nn.Module, options: ExportOptions, least: int, *, any_batch: bool = False) -> ExportedProgram:
    """What `torch.export` makes of a program of images [B, 3, H, W] and sizes [B, 2].

    Free sizes are of `least` pixels and more; B is 1 unless there may be any number.
    """
    height, width = options.size or (max(side, side - EXAMPLE[0] + least + DIVISOR) for side in EXAMPLE)
    batch = 2 if any_batch else 1
    device = options.device
    example = (
        torch.zeros(batch, 3, height, width, dtype=torch.uint8, device=device),
        torch.tensor([[height, width]] * batch, device=device),
    )
    images, sizes = {}, {}
    if options.size is None:
        sides = {'min': least // DIVISOR, 'max': options.most // DIVISOR}
        images = {2: DIVISOR * Dim('h', **sides), 3: DIVISOR * Dim('w', **sides)}
    if any_batch:
        images[0] = sizes[0] = Dim('batch', min=1)
    free = {'images': images, 'sizes': sizes} if images else None
    # sizes that happen to be 1 are no other case
    with torch.no_grad(), symbolic_shapes.patch(backed_size_oblivious=free is not None):
        return torch.export.export(program, example, dynamic_shapes=free)
