"""Buffers, launches and matrix products of a dynamic head: host code, no maths but a mean from sums."""

from typing import Any

import torch
import triton
from torch import Tensor

from swin_mmdet.ops.dynamic_head.levels import (
    TAPS,
    Levels,
    blend_table,
    first_blocks,
    readings_table,
    segments_table,
)
from swin_mmdet.ops.dynamic_head.triton_kernels import (
    blend_backward_kernel,
    blend_kernel,
    columns_backward_kernel,
    columns_kernel,
    lines_kernel,
    moments_kernel,
)
from swin_mmdet.ops.triton_fast_launch import on_device_of

# output pixels of a program, and warps: those of `deformable_convolution`
SAMPLES = dict(BLOCK=16, num_warps=2)
MAX_CHANNEL_BLOCK = 64
# rows of a program that sums or scales them
ROWS = dict(BLOCK=64, num_warps=4)


def convolve(rows: Tensor, offsets: Tensor, weights: list[Tensor], levels: Levels) -> Tensor:
    """[results, D] in rows' dtype."""
    columns = _columns(rows, offsets, levels)
    results = rows.new_empty(len(columns), len(weights[0]))
    for part, weight, result in zip(_parts(columns, levels), weights, _parts(results, levels), strict=True):
        torch.mm(part, _as_matrix(weight, rows.dtype), out=result)
    return results


def convolve_backward(
    dresults: Tensor, rows: Tensor, offsets: Tensor, weights: list[Tensor], levels: Levels
) -> tuple[Tensor, Tensor, list[Tensor]]:
    """Gradients of rows, offsets and weights."""
    columns = _columns(rows, offsets, levels)
    given = _parts(dresults, levels)
    dweights = [
        # [taps * C, D] -> [D, C, 3, 3]
        torch.mm(part.t(), dpart).view(TAPS, -1, len(weight)).permute(2, 1, 0).reshape(weight.shape).to(weight.dtype)
        for part, dpart, weight in zip(_parts(columns, levels), given, weights, strict=True)
    ]
    # the columns are read no more: their gradients take their memory
    for part, dpart, weight in zip(_parts(columns, levels), given, weights, strict=True):
        torch.mm(dpart, _as_matrix(weight, rows.dtype).t(), out=part)
    drows = torch.zeros_like(rows, dtype=torch.float32)
    doffsets = torch.zeros_like(offsets, dtype=torch.float32)
    _sample(columns_backward_kernel, (columns, drows, doffsets), rows, offsets, levels)
    return drows.to(rows.dtype), doffsets.to(offsets.dtype), dweights


def moments(rows: Tensor, segments: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """Mean and variance, [segments, D] float32 each."""
    sums = torch.zeros(2, len(segments), rows.shape[1], dtype=torch.float32, device=rows.device)
    if not segments:
        return sums[0], sums[1]
    table = segments_table(segments, ROWS['BLOCK'], rows.device)
    _by_segment(moments_kernel, (rows, table, sums), segments, rows)
    # moved by the first row, see the kernel
    shift, square = sums / table[:, 2, None]
    return rows[table[:, 1]].float() + shift, square - shift * shift


def lines(rows: Tensor, segments: tuple[int, ...], slopes: Tensor, constants: Tensor) -> Tensor:
    """slope * rows + constant of each segment and channel, in rows' dtype."""
    out = torch.empty_like(rows)
    table = segments_table(segments, ROWS['BLOCK'], rows.device)
    _by_segment(lines_kernel, (rows, table, slopes.contiguous(), constants.contiguous(), out), segments, rows)
    return out


def blend(results: Tensor, enlarged: Tensor, coefficients: Tensor, levels: Levels) -> Tensor:
    """[N, D] in the dtype of `results`."""
    out = results.new_empty(sum(levels.counts()), results.shape[1])
    table = blend_table(levels, ROWS['BLOCK'], results.device)
    _by_segment(blend_kernel, (results, enlarged, coefficients, table, out), levels.own_segments(), results)
    return out


def blend_backward(
    dout: Tensor, results: Tensor, enlarged: Tensor, coefficients: Tensor, levels: Levels
) -> tuple[Tensor, Tensor, Tensor]:
    """Gradients of results (zero where they are of `high`), enlarged maps and coefficients."""
    dresults = torch.zeros_like(results)
    denlarged, dcoefficients = torch.empty_like(enlarged), torch.zeros_like(coefficients)
    table = blend_table(levels, ROWS['BLOCK'], results.device)
    tensors = results, enlarged, coefficients, table, dout, dresults, denlarged, dcoefficients
    _by_segment(blend_backward_kernel, tensors, levels.own_segments(), results)
    return dresults, denlarged, dcoefficients


def _as_matrix(weight: Tensor, dtype: torch.dtype) -> Tensor:
    """[D, C, 3, 3] -> [taps * C, D]."""
    return weight.to(dtype).flatten(2).permute(2, 1, 0).flatten(0, 1)


def _parts(rows: Tensor, levels: Levels) -> list[Tensor]:
    """Those of each kind, [rows, everything else]."""
    return list(rows.flatten(1).split([sum(kind) for kind in levels.results()]))


def _columns(rows: Tensor, offsets: Tensor, levels: Levels) -> Tensor:
    columns = rows.new_empty(sum(map(sum, levels.results())), TAPS, rows.shape[1])
    _sample(columns_kernel, (columns,), rows, offsets, levels)
    return columns


def _sample(kernel: Any, tensors: tuple[Tensor, ...], rows: Tensor, offsets: Tensor, levels: Levels) -> None:
    counts = [count for kind in levels.results() for count in kind]
    table = readings_table(levels, SAMPLES['BLOCK'], rows.device)
    channels = rows.shape[1]
    constants = {
        'C': channels,
        'ENTRIES': len(table),
        'TAPS': TAPS,
        'CHANNEL_BLOCK': min(triton.next_power_of_2(channels), MAX_CHANNEL_BLOCK),
    }
    grid = first_blocks(counts, SAMPLES['BLOCK'])[1], TAPS
    with on_device_of(rows):
        kernel[grid](rows, offsets, table, *tensors, levels.batch, **constants, **SAMPLES)


def _by_segment(kernel: Any, tensors: tuple[Tensor, ...], segments: tuple[int, ...], rows: Tensor) -> None:
    channels = rows.shape[1]
    block = min(triton.next_power_of_2(channels), MAX_CHANNEL_BLOCK)
    grid = first_blocks(segments, ROWS['BLOCK'])[1], triton.cdiv(channels, block)
    with on_device_of(rows):
        kernel[grid](*tensors, D=channels, ENTRIES=len(segments), CHANNEL_BLOCK=block, **ROWS)
