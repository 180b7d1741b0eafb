"""A pyramid that fuses its levels down and up again, several times over (arXiv 1911.09070, section 3)."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmcv.cnn import ConvModule
from mmengine.model import BaseModule
from torch import Tensor, nn

from swin_mmdet.registry import MODELS


@MODELS.register_module()
class BiFPN(BaseModule):
    """Maps [B, in_channels[i], H_i, W_i] of neighbouring strides -> `num_outs` maps of `out_channels` each.

    Levels beyond those of the backbone are max-pooled from its last one. In the first of `num_repeat` passes each level
    is projected to `out_channels`. Names of parameters are those of the official RepPoints V2 with Swin.
    """

    def __init__(
        self, in_channels: Sequence[int], out_channels: int = 256, num_outs: int = 5, num_repeat: int = 2,
        norm_cfg: dict | None = None, init_cfg: dict | None = None,
    ) -> None:
        """Raises ValueError for fewer `num_outs` than `in_channels`, or for `num_repeat` below 1."""
        super().__init__(init_cfg or dict(type='Xavier', layer='Conv2d', distribution='uniform'))
        if num_outs < len(in_channels):
            raise ValueError(f'num_outs={num_outs} is less than the {len(in_channels)} in_channels')
        if num_repeat < 1:
            raise ValueError(f'num_repeat={num_repeat} is less than 1')
        self.num_outs = num_outs
        first = [*in_channels] + [in_channels[-1]] * (num_outs - len(in_channels))
        self.bi_fpn = nn.ModuleList(
            _Pass(first if index == 0 else [out_channels] * num_outs, out_channels, norm_cfg)
            for index in range(num_repeat)
        )

    def forward(self, inputs: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Raises ValueError where there are more maps than `num_outs`."""
        maps = list(inputs)
        if len(maps) > self.num_outs:
            raise ValueError(f'{len(maps)} maps for a pyramid of {self.num_outs}')
        while len(maps) < self.num_outs:
            maps.append(_downsample(maps[-1]))
        for once in self.bi_fpn:
            maps = once(maps)
        return tuple(maps)


class _Pass(nn.Module):
    """Down the pyramid and up again; a level in between sees its input on the way up once more."""

    def __init__(self, in_channels: Sequence[int], out_channels: int, norm_cfg: dict | None) -> None:
        super().__init__()
        levels = len(in_channels)

        def conv(channels: int, kernel_size: int) -> ConvModule:
            return ConvModule(
                channels, out_channels, kernel_size, padding=kernel_size // 2, norm_cfg=norm_cfg, act_cfg=None
            )

        self.lateral_convs = nn.ModuleList(
            nn.Identity() if channels == out_channels else conv(channels, 1) for channels in in_channels
        )
        self.lateral_combine = nn.ModuleList(_Fusion(2) for _ in range(levels - 1))
        self.lateral_combine_conv = nn.ModuleList(conv(out_channels, 3) for _ in range(levels - 1))
        self.out_combine = nn.ModuleList(_Fusion(2 if level == levels - 1 else 3) for level in range(1, levels))
        self.out_combine_conv = nn.ModuleList(conv(out_channels, 3) for _ in range(1, levels))

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        laterals = [conv(level) for conv, level in zip(self.lateral_convs, maps, strict=True)]
        outs = list(laterals)
        last = len(outs) - 1
        for level in reversed(range(last)):
            above = F.interpolate(outs[level + 1], size=outs[level].shape[2:])
            fused = self.lateral_combine[level]([outs[level], above])
            outs[level] = self.lateral_combine_conv[level](fused)
        for level in range(last):
            parts = [_downsample(outs[level]), outs[level + 1]]
            if level + 1 < last:
                parts.append(laterals[level + 1])
            outs[level + 1] = self.out_combine_conv[level](self.out_combine[level](parts))
        return outs


class _Fusion(nn.Module):
    """Swish of a weighted mean; weights are kept from being negative (section 3.3, fast normalized fusion)."""

    def __init__(self, num_inputs: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(torch.ones(1, 1, 1, 1, num_inputs))

    def forward(self, maps: Sequence[Tensor]) -> Tensor:
        weights = self.weights.flatten().relu()
        weights = weights / (weights.sum() + 1e-4)
        return F.silu(sum(weight * one for weight, one in zip(weights, maps, strict=True)))


def _downsample(x: Tensor) -> Tensor:
    """[B, C, H, W] -> [B, C, ceil(H / 2), ceil(W / 2)]."""
    return F.max_pool2d(x, 3, stride=2, padding=1)
