"""The operations level by level, in PyTorch: what the kernels compute, and what runs where they do not."""

import torch
from torch import Tensor

from swin_mmdet.ops.deformable_convolution import deformable_convolution
from swin_mmdet.ops.deformable_convolution.geometry import leading
from swin_mmdet.ops.dynamic_head.levels import TAPS, Levels, as_rows


def convolve(rows: Tensor, offsets: Tensor, weights: list[Tensor], levels: Levels) -> Tensor:
    """As `convolve_levels`."""
    results = []
    for weight, readings in zip(weights, levels.readings(), strict=True):
        for one in readings:
            # planes of a level's offsets one after the other, which a smaller map reads from the first number on
            planes = levels.map_of(offsets, one.level).contiguous()
            result = deformable_convolution(
                levels.map_of(rows, one.source),
                leading(planes[:, : 2 * TAPS], one.size),
                weight.to(rows.dtype),
                mask=leading(planes[:, 2 * TAPS :].sigmoid(), one.size),
                stride=(one.stride, one.stride),
                padding=(1, 1),
            )
            results.append(as_rows(result))
    return torch.cat(results)


def moments(rows: Tensor, segments: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    """As `segment_moments`."""
    wide = rows.to(torch.promote_types(rows.dtype, torch.float32))
    both = [torch.stack(torch.var_mean(part, 0, correction=0)) for part in wide.split(segments)]
    variance, mean = torch.stack(both, 1) if both else wide.new_empty(2, 0, rows.shape[1])
    return mean, variance


def blend(results: Tensor, enlarged: Tensor, coefficients: Tensor, levels: Levels) -> Tensor:
    """As `blend_levels`."""
    counts = levels.counts()
    mid, low, _ = results.split([sum(kind) for kind in levels.results()])
    low = torch.cat([low.new_zeros(counts[0], low.shape[1]), low])
    enlarged = torch.cat([enlarged, enlarged.new_zeros(counts[-1], enlarged.shape[1])])
    dtype = coefficients.dtype
    rows = torch.tensor(levels.own_segments(), device=results.device)
    of_mid, of_low, of_high, plus, *lines = coefficients.repeat_interleave(rows, 1, output_size=sum(counts))
    x = mid.to(dtype) * of_mid + low.to(dtype) * of_low + enlarged.to(dtype) * of_high + plus
    return torch.maximum(x * lines[0] + lines[1], x * lines[2] + lines[3]).to(results.dtype)
