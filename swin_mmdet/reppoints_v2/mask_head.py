"""Masks by convolutions whose weights each detection predicts (CondInst, arXiv 2003.05664)."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule
from mmdet.models.utils import aligned_bilinear
from mmengine.model import BaseModule
from torch import Tensor, nn

from swin_mmdet.registry import MODELS


@MODELS.register_module()
class CondConvMaskHead(BaseModule):
    """Mask logits of instances, from features that all of them share and three 1x1 convolutions of their own.

    Names of parameters are those of the official Mask RepPoints V2, so is the order of what `controls` hold.

    Args:
        in_channels: of each map
        num_levels: how many maps, from the first on, are summed up at the size of the first
        channels: of the shared features' convolutions, of which there are `num_convs`
        out_channels: of the shared features, and of the instances' own layers
        stride: of the first map
        sizes_of_interest: in what units of the image instances of each level see coordinates
    """

    def __init__(
        self, in_channels: int = 256, num_levels: int = 3, channels: int = 128, num_convs: int = 4,
        out_channels: int = 8, stride: int = 8, sizes_of_interest: Sequence[int] = (64, 128, 256, 512, 1024),
        norm_cfg: dict | None = None, init_cfg: dict | None = None,
    ) -> None:
        super().__init__(init_cfg)
        self.stride = stride
        self.branch = _MaskBranch(
            in_channels, num_levels, channels, num_convs, out_channels, norm_cfg or dict(type='BN')
        )
        self.head = _DynamicMaskHead(out_channels, sizes_of_interest)

    @property
    def num_params(self) -> int:
        """How many numbers an instance predicts."""
        return sum(self.head.counts)

    def forward(
        self, x: Sequence[Tensor], controls: Tensor, centers: Tensor, levels: Tensor, images: Tensor
    ) -> list[Tensor]:
        """Logits [n, h, w] at half the stride: of each layer while training, else of the last alone.

        Args:
            x: maps [B, C, H_i, W_i], each of half the size of the one before, rounded up
            controls: [n, num_params]
            centers: [n, 2] x, y in the image
            levels, images: [n], of which level and which image an instance is
        """
        shared = self.branch(x)
        logits = self.head(shared[images], controls, centers, levels, self.stride)
        return [aligned_bilinear(one, 2)[:, 0] for one in logits]


class _MaskBranch(nn.Module):
    """Maps of different sizes -> [B, out_channels, H, W] of the first's."""

    def __init__(
        self, in_channels: int, num_levels: int, channels: int, num_convs: int, out_channels: int, norm_cfg: dict
    ) -> None:
        super().__init__()
        self.refine = nn.ModuleList(
            ConvModule(in_channels, channels, 3, padding=1, norm_cfg=norm_cfg) for _ in range(num_levels)
        )
        self.tower = nn.Sequential(
            *(ConvModule(channels, channels, 3, padding=1, norm_cfg=norm_cfg) for _ in range(num_convs)),
            nn.Conv2d(channels, out_channels, 1),
        )

    def forward(self, x: Sequence[Tensor]) -> Tensor:
        height, width = x[0].shape[2:]
        refined = [refine(one) for refine, one in zip(self.refine, x, strict=False)]
        # where sizes were rounded up, the enlarged map goes beyond the first
        return self.tower(
            sum(aligned_bilinear(one, 2**level)[..., :height, :width] for level, one in enumerate(refined))
        )


class _DynamicMaskHead(nn.Module):
    """Three layers of weights that come as input, with a mask from the input of each of the first two as well."""

    def __init__(self, channels: int, sizes_of_interest: Sequence[int]) -> None:
        super().__init__()
        # in the official checkpoints, so in ours
        self.register_buffer('sizes_of_interest', torch.tensor(sizes_of_interest))
        own = (channels, channels + 2), (channels, channels), (1, channels)
        early = (1, channels + 2), (1, channels)
        self.shapes = [*own, *((out, 1) for out, _ in own), *early, *((out, 1) for out, _ in early)]
        self.counts = [out * into for out, into in self.shapes]

    def forward(self, shared: Tensor, controls: Tensor, centers: Tensor, levels: Tensor, stride: int) -> list[Tensor]:
        """[n, C, H, W], [n, params], [n, 2], [n] -> [n, 1, H, W] of each layer."""
        height, width = shared.shape[2:]
        x, y = (
            torch.arange(side, device=shared.device) * stride + stride // 2 for side in (width, height)
        )
        locations = torch.stack(torch.meshgrid(x, y, indexing='xy')).flatten(1)
        relative = (centers[:, :, None] - locations) / self.sizes_of_interest[levels][:, None, None]
        out = torch.cat([relative.to(shared.dtype), shared.flatten(2)], dim=1)
        params = [
            one.unflatten(1, shape) for one, shape in zip(controls.split(self.counts, dim=1), self.shapes, strict=True)
        ]
        weights, biases, early_weights, early_biases = params[:3], params[3:6], params[6:8], params[8:]
        logits = []
        for layer in range(2):
            if self.training:
                logits.append(torch.baddbmm(early_biases[layer], early_weights[layer], out))
            out = torch.baddbmm(biases[layer], weights[layer], out).relu()
        logits.append(torch.baddbmm(biases[2], weights[2], out))
        return [one.unflatten(2, (height, width)) for one in logits]
