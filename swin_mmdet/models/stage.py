"""A stage: blocks at one resolution, then the merging that leads to the next."""


import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from swin_mmdet.models.block import KEEP_BOTH, SwinBlock, SwinBlockV2
from swin_mmdet.models.fused import run_stage, step_dtype, why_not_fused_stage
from swin_mmdet.models.patch_merging import PatchMerging, PatchMergingV2
from swin_mmdet.ops.log import log_once


class SwinStage(nn.Module):
    """Blocks with alternating shift 0 and window_size // 2.

    Args:
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
        depth: int,
        downsample: bool,
        with_cp: bool,
        **block_options,
    ) -> None:
        super().__init__()
        self.with_cp = with_cp
        self.blocks = nn.ModuleList(
            self.block_cls(
                dims, num_heads, window_size, shift_size=0 if index % 2 == 0 else window_size // 2, **block_options
            )
            for index in range(depth)
        )
        self.downsample = self.merging_cls(dims) if downsample else None

    def forward(
        self,
        x: Tensor,
        output_norm: nn.LayerNorm | None = None,
        scales: Tensor | None = None,
        *,
        channels_last: bool = False,
        owns_x: bool = False,
    ) -> tuple[Tensor | None, Tensor | None]:
        """[B, H, W, C] -> the normalised map of this stage [B, C, H, W], and the input of the next.

        Args:
            output_norm: the norm of the map; without it there is none.
            scales: [2 * depth, B] of stochastic depth, for the branches in their order.
            channels_last: the map has its channels innermost in memory, else it is contiguous.
            owns_x: nobody reads `x` afterwards; without gradients the stage may work in its memory.
        """
        if scales is None:
            pairs = [KEEP_BOTH] * len(self.blocks)
        else:
            rows = scales.unbind()
            pairs = list(zip(rows[::2], rows[1::2], strict=True))
        reason = why_not_fused_stage(self, x, output_norm)
        if reason is None:
            log_once("stages run on fused operations, their attention on 'triton'")
            return run_stage(self, x, output_norm, pairs, channels_last, owns_x)
        log_once(f'stages run module by module: {reason}')
        for block, pair in zip(self.blocks, pairs, strict=True):
            if self.with_cp and torch.is_grad_enabled():
                # non-reentrant: keeps gradients with a frozen input, and the hooks of DDP
                x = checkpoint(block, x, pair, use_reentrant=False)
            else:
                x = block(x, pair)
        out = None
        if output_norm is not None:
            out = output_norm(x).to(step_dtype(x)).permute(0, 3, 1, 2)
            out = out if channels_last else out.contiguous()
        return out, None if self.downsample is None else self.downsample(x)


class SwinStageV2(SwinStage):
    """A stage of SwinV2."""

    block_cls = SwinBlockV2
    merging_cls = PatchMergingV2
