"""mmdet's DyHead (arXiv 2106.08322), all levels of a pyramid at once."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from mmdet.models.necks.dyhead import DyHead as MMDetDyHead
from mmdet.models.necks.dyhead import DyHeadBlock
from torch import Tensor, nn

from swin_mmdet.models.plain import is_untouched
from swin_mmdet.ops.dynamic_head import KINDS, Levels, blend_levels, convolve_levels, segment_moments
from swin_mmdet.ops.dynamic_head.levels import as_map, as_rows
from swin_mmdet.ops.log import log_once
from swin_mmdet.ops.to_device import constant
from swin_mmdet.ops.tracing import is_traced
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class DyHead(MMDetDyHead):
    """mmdet's `DyHead`: same parameters, arguments and maps.

    The maps of all levels are rows of one matrix from the first block to the last. Between convolutions and result
    every step is a line of each channel of an image and level (group norm, attention to scales, the mean of three maps,
    both arms of the dynamic ReLU), so that one pass over the numbers is enough: `blend_levels`.

    Runs as in mmdet, and the log says so, where a module has hooks or a `forward` of its own, in a trace, and where
    maps do not halve from level to level.
    """

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps [B, C, H, W], finest first, with channels innermost in the result; any number of levels."""
        reason = self._why_not_at_once(inputs)
        if reason is not None:
            log_once(f'DyHead: as in mmdet: {reason}')
            return super().forward(inputs)
        first = inputs[0]
        dtype = first.dtype
        if torch.is_autocast_enabled(first.device.type):
            dtype = torch.get_autocast_dtype(first.device.type)
        levels = Levels(len(first), tuple((x.shape[2], x.shape[3]) for x in inputs))
        rows = torch.cat([as_rows(x.to(dtype)) for x in inputs])
        for block in self.dyhead_blocks:
            rows = _run(block, rows, levels)
        return tuple(levels.map_of(rows, level) for level in range(len(inputs)))

    def _why_not_at_once(self, maps: Sequence[Tensor]) -> str | None:
        if is_traced():
            return 'it is traced'
        if not is_untouched(self.dyhead_blocks):
            return 'its modules have hooks, or a forward or weights of another kind'
        sizes = [tuple(x.shape[2:]) for x in maps]
        for finer, coarser in pairwise(sizes):
            if coarser != tuple((side + 1) // 2 for side in finer):
                return f'a map of {list(coarser)} follows one of {list(finer)}'
        return None


def _run(block: DyHeadBlock, rows: Tensor, levels: Levels) -> Tensor:
    """[N, C] -> [N, D], see `Levels`."""
    convolutions = [getattr(block, f'spatial_conv_{kind}') for kind in KINDS]
    maps = [levels.map_of(rows, level) for level in range(len(levels.sizes))]
    offsets = torch.cat([as_rows(block.spatial_conv_offset(x)) for x in maps])
    results = convolve_levels(rows, offsets, [one.conv.weight for one in convolutions], levels)
    enlarged = _enlarge(results, levels)

    mean, variance = segment_moments(results, levels.segments())
    enlarged_mean, _ = segment_moments(enlarged, levels.enlarged_segments())
    slope, intercept = _norm_lines([one.norm for one in convolutions], mean, variance, levels)
    # as the three maps are summed
    mean = torch.cat([mean[: len(mean) - len(enlarged_mean)], enlarged_mean])
    # the mean of a normalised map is that line's value at its mean
    attention = block.scale_attn_module[1:]((slope * mean + intercept)[:, :, None, None]).flatten(1)
    sums = _sum_lines(attention * slope, attention * intercept, levels)
    pooled = sums[3] + sum(one * by_level for one, by_level in zip(sums, _by_level(mean, levels)))
    lines = _dynamic_relu_lines(block.task_attn_module, pooled)
    return blend_levels(results, enlarged, torch.stack([*sums, *lines]), levels)


def _enlarge(results: Tensor, levels: Levels) -> Tensor:
    """Results of `high` in the size of the level that each is for: [rows of all levels but the coarsest, D]."""
    readings = levels.readings()[KINDS.index('high')]
    if not readings:
        return results.new_empty(0, results.shape[1])
    counts = levels.results()[KINDS.index('high')]
    maps = results[-sum(counts) :].split(counts)
    return torch.cat([
        as_rows(
            F.interpolate(
                as_map(x, levels.batch, one.size), size=levels.sizes[one.level], mode='bilinear', align_corners=True
            )
        )
        for x, one in zip(maps, readings, strict=True)
    ])  # fmt: skip


def _norm_lines(
    norms: Sequence[nn.GroupNorm], mean: Tensor, variance: Tensor, levels: Levels
) -> tuple[Tensor, Tensor]:
    """Slope and intercept that are the group norms of each kind's results: [segments, D] each.

    Variance of a group = mean over its channels of (variance + (mean - mean of the group)**2).
    """
    groups, eps = norms[0].num_groups, norms[0].eps
    by_group = mean.unflatten(1, (groups, -1))
    center = by_group.mean(2, keepdim=True)
    spread = (variance.unflatten(1, (groups, -1)) + (by_group - center).square()).mean(2, keepdim=True)
    scale = (spread + eps).rsqrt().expand_as(by_group).flatten(1)
    center = center.expand_as(by_group).flatten(1)
    counts = [len(kind) * levels.batch for kind in levels.readings()]
    weight, bias = (
        torch.cat([getattr(norm, name).expand(count, -1) for norm, count in zip(norms, counts, strict=True)])
        for name in ('weight', 'bias')
    )
    slope = weight * scale
    return slope, bias - slope * center


def _by_level(x: Tensor, levels: Levels) -> list[Tensor]:
    """What there is of each segment of the results, [segments, D], for each image and level that a kind is for.

    [B * levels, D] of each kind, 0 where a level has none.
    """
    mid, low, high = x.split([len(kind) * levels.batch for kind in levels.readings()])
    return [mid, F.pad(low, (0, 0, levels.batch, 0)), F.pad(high, (0, 0, 0, levels.batch))]


def _sum_lines(slope: Tensor, intercept: Tensor, levels: Levels) -> list[Tensor]:
    """Slopes of the three maps of each image and level in their mean, and its intercept: four of [B * levels, D]."""
    last = len(levels.sizes) - 1
    maps = tuple(1 + (level > 0) + (level < last) for level in range(last + 1) for _ in range(levels.batch))
    share = constant(maps, slope.device).to(slope.dtype).reciprocal()[:, None]
    slopes = _by_level(slope, levels)
    return [*(one * share for one in slopes), sum(_by_level(intercept, levels)) * share]


def _dynamic_relu_lines(relu: nn.Module, pooled: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """a1, b1, a2, b2 of mmdet's `DyReLU`, each [segments, D], from the mean of each segment."""
    coefficients = relu.conv2(relu.conv1(pooled[:, :, None, None])).flatten(1).to(pooled.dtype) - 0.5
    a1, b1, a2, b2 = coefficients.split(pooled.shape[1], 1)
    return a1 * 2 + 1, b1, a2 * 2, b2
