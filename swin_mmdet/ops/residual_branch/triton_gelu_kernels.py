"""GELU with the bias before it: y = v * Phi(v), v = h + bias, and its gradient dh = dy * (Phi(v) + v * phi(v)).

The bias gradient is summed over many rows in registers, then written once by each program to a row of its own.
"""

import triton
import triton.language as tl

from swin_mmdet.ops.triton_fast_launch import fast_launch

DYNAMIC = ['rows', 'tiles']


@triton.jit
def _normal_distribution(v):
    """Phi(v) and phi(v). Abramowitz and Stegun, 26.2.17: error below 7.5e-8, and phi is a part of it."""
    magnitude = tl.abs(v)
    t = 1 / (1 + 0.2316419 * magnitude)
    density = 0.3989422804 * tl.exp(-0.5 * v * v)
    series = ((((1.330274429 * t - 1.821255978) * t + 1.781477937) * t - 0.356563782) * t + 0.319381530) * t
    tail = density * series
    return tl.where(v < 0, tail, 1 - tail), density


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def gelu_forward_kernel(h, bias, y, rows, C: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr):
    """h [rows, C] -> y [rows, C], which may be h itself."""
    row = tl.program_id(0) * ROWS + tl.arange(0, ROWS)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    inside = (row < rows)[:, None] & (column < C)[None, :]
    offsets = row.to(tl.int64)[:, None] * C + column[None, :]
    v = tl.load(h + offsets, mask=inside, other=0.0).to(tl.float32)
    v += tl.load(bias + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    probability, _ = _normal_distribution(v)
    tl.store(y + offsets, (v * probability).to(y.dtype.element_ty), mask=inside)


@fast_launch
@triton.jit(do_not_specialize=DYNAMIC)
def gelu_backward_kernel(
    h, bias, dy, dh, y, sums, rows, tiles, C: tl.constexpr, ROWS: tl.constexpr, COLUMNS: tl.constexpr
):
    """dy [rows, C] -> dh [rows, C], which may be dy itself; y again; sums [programs, C] of dh."""
    program, programs = tl.program_id(0), tl.num_programs(0)
    column = tl.program_id(1) * COLUMNS + tl.arange(0, COLUMNS)
    shift = tl.load(bias + column, mask=column < C, other=0.0).to(tl.float32)[None, :]
    total = tl.zeros((ROWS, COLUMNS), dtype=tl.float32)
    for tile in range(program, tiles, programs):
        row = tile * ROWS + tl.arange(0, ROWS)
        inside = (row < rows)[:, None] & (column < C)[None, :]
        offsets = row.to(tl.int64)[:, None] * C + column[None, :]
        v = tl.load(h + offsets, mask=inside, other=0.0).to(tl.float32) + shift
        grad = tl.load(dy + offsets, mask=inside, other=0.0).to(tl.float32)
        probability, density = _normal_distribution(v)
        grad *= probability + v * density
        total += grad
        tl.store(dh + offsets, grad.to(dh.dtype.element_ty), mask=inside)
        tl.store(y + offsets, (v * probability).to(y.dtype.element_ty), mask=inside)
    tl.store(sums + program * C + column, tl.sum(total, axis=0), mask=column < C)
