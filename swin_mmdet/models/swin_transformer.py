"""The backbones: Swin Transformer, arXiv 2103.14030, and Swin Transformer V2, arXiv 2111.09883."""

from collections.abc import Sequence

from torch import nn

from swin_mmdet.models.stage import SwinStageV2
from swin_mmdet.models.swin_backbone import SwinBackbone
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class SwinTransformer(SwinBackbone):
    """Swin Transformer, arXiv 2103.14030; arguments, input and output as of `SwinBackbone`."""


@MODELS.register_module()
class SwinTransformerV2(SwinBackbone):
    """Swin Transformer V2, arXiv 2111.09883: residual post-norm, cosine attention, a position bias from log offsets.

    Args:
        window_size: tokens on a window's side; one number, or one for each stage (the published models have half of it
            in the last stage where their images were too small for more).
        pretrained_window_size: the window that the weights were trained for, where it is another one; 0 for the same.
        options: every other argument of `SwinBackbone`.
    """

    stage_cls = SwinStageV2

    def __init__(
        self,
        arch: str | dict | None = None,
        *,
        window_size: int | Sequence[int] = 8,
        pretrained_window_size: int | Sequence[int] = 0,
        **options,
    ) -> None:
        block_options = {'pretrained_window_size': pretrained_window_size}
        super().__init__(arch, window_size=window_size, block_options=block_options, **options)

    def _init_parameters(self) -> None:
        """The official initialisation: every block starts as the identity."""
        super()._init_parameters()
        for stage in self.stages:
            for block in stage.blocks:
                for norm in (block.norm1, block.norm2):
                    nn.init.zeros_(norm.weight)
                    nn.init.zeros_(norm.bias)
