"""A program of tensors, traced for one size of images or for all."""

import torch
import torch.fx.experimental._config as symbolic_shapes
from torch.export import Dim, ExportedProgram

from swin_mmdet.export.options import ExportOptions
from swin_mmdet.export.program import DIVISOR, Program

# of free sizes: no two maps have a side in common, and none is 1
EXAMPLE = 4 * DIVISOR, 6 * DIVISOR


def trace(program: Program, options: ExportOptions, least: int) -> ExportedProgram:
    """What `torch.export` makes of a batch of one; free sizes are of `least` pixels and more."""
    height, width = options.size or (max(side, side - EXAMPLE[0] + least + DIVISOR) for side in EXAMPLE)
    example = torch.zeros(1, 3, height, width, dtype=torch.uint8), torch.tensor([[height, width]])
    free = None
    if options.size is None:
        sides = {'min': least // DIVISOR, 'max': options.most // DIVISOR}
        free = {'images': {2: DIVISOR * Dim('h', **sides), 3: DIVISOR * Dim('w', **sides)}, 'sizes': None}
    # sizes of maps that happen to be 1 are no other case
    with torch.no_grad(), symbolic_shapes.patch(backed_size_oblivious=options.size is None):
        return torch.export.export(program, example, dynamic_shapes=free)
