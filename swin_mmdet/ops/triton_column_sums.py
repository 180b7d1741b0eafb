"""Sums over the rows of a tall matrix: of what the programs of a backward kernel have each summed for themselves."""

import torch
import triton
import triton.language as tl
from torch import Tensor

from swin_mmdet.ops.triton_fast_launch import fast_launch

ROWS, COLUMNS = 128, 16


@fast_launch
@triton.jit(do_not_specialize=['rows', 'columns'])
def column_sums_kernel(partial, sums, rows, columns, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """partial [rows, columns] float32 -> sums [columns]; the order of every sum is fixed."""
    column = tl.program_id(0) * COLUMNS + tl.arange(0, COLUMNS)
    total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for first in range(0, rows, ROWS):
        row = first + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & (column < columns)[None, :]
        total += tl.load(partial + row[:, None] * columns + column[None, :], mask=inside, other=0.0)
    tl.store(sums + column, tl.sum(total, axis=0), mask=column < columns)


def column_sums(partial: Tensor) -> Tensor:
    """[rows, ...] float32 -> [...], on the current device."""
    sums = torch.empty(partial.shape[1:], dtype=torch.float32, device=partial.device)
    columns = sums.numel()
    column_sums_kernel[(triton.cdiv(columns, COLUMNS),)](
        partial, sums, partial.shape[0], columns, ROWS=ROWS, COLUMNS=COLUMNS
    )
    return sums
