"""A stage: blocks at one resolution, then the merging that leads to the next."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from swin_mmdet.models.block import SwinBlock, SwinBlockV2
from swin_mmdet.models.patch_merging import PatchMerging, PatchMergingV2


class SwinStage(nn.Module):
    """Blocks with alternating shift 0 and window_size // 2.

    Args:
        drop_path_rates: one per block.
        downsample: whether the stage ends in a merging (the last one that anybody reads does not).
        with_cp: recompute each block in backward instead of keeping its activations.
        block_options: what else a block takes.
    """

    block_cls: type[nn.Module] = SwinBlock
    merging_cls: type[nn.Module] = PatchMerging

    def __init__(
        self,
        dims: int,
        num_heads: int,
        window_size: int,
        drop_path_rates: Sequence[float],
        downsample: bool,
        with_cp: bool,
        **block_options,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.blocks = nn.ModuleList(
            self.block_cls(
                dims,
                num_heads,
                window_size,
                shift_size=0 if index % 2 == 0 else window_size // 2,
                drop_path_rate=rate,
                **block_options,
            )
            for index, rate in enumerate(drop_path_rates)
        )
        self.downsample = self.merging_cls(dims) if downsample else None

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor | None]:
        """[B, H, W, C] -> the map of this stage [B, H, W, C], and the input of the next or None."""
        for block in self.blocks:
            if self.with_cp and torch.is_grad_enabled():
                # non-reentrant: keeps gradients with a frozen input, and the hooks of DDP
                x = checkpoint(block, x, use_reentrant=False)
            else:
                x = block(x)
        return x, None if self.downsample is None else self.downsample(x)


class SwinStageV2(SwinStage):
    """A stage of SwinV2."""

    block_cls = SwinBlockV2
    merging_cls = PatchMergingV2
