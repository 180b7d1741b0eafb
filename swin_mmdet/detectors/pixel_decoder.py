"""mmdet's pixel decoder of Mask2Former (arXiv 2112.01527), without synchronising with the GPU."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.layers import MSDeformAttnPixelDecoder as MMDetPixelDecoder
from torch import Tensor, nn

from swin_mmdet.detectors.deformable_transformer import DeformableDetrTransformerEncoder
from swin_mmdet.detectors.maps import flatten_maps, sizes_of
from swin_mmdet.ops.pyramid import Pyramid, SineSettings, sine_positions
from swin_mmdet.registry import MODELS


@MODELS.register_module()
class MSDeformAttnPixelDecoder(MMDetPixelDecoder):
    """mmdet's `MSDeformAttnPixelDecoder`: same parameters, arguments and results."""

    def __init__(self, *args, encoder: dict, **kwargs) -> None:
        # mmdet's encoder, which ours takes the place of, asks for fairscale to checkpoint layers
        plain = type(encoder)(encoder)
        plain.update(num_cp=0)
        super().__init__(*args, encoder=plain, **kwargs)
        self.encoder = DeformableDetrTransformerEncoder(**encoder)

    def forward(self, feats: Sequence[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """A map for the masks [B, C, H, W] and `num_outs` maps, small ones first, of the backbone's, large ones first.

        Padding is looked at as the image is.
        """
        batch = len(feats[0])
        maps = [conv(level) for conv, level in zip(self.input_convs, reversed(feats), strict=False)]
        sizes, channels = sizes_of(maps), maps[0].shape[1]
        pyramid = Pyramid(sizes, (sizes,) * batch)
        positions = level_positions(pyramid, self.postional_encoding, maps[0].device)
        weights = self.level_encoding.weight
        of_levels = [one + level for one, level in zip(positions, weights, strict=True)]
        memory = self.encoder(
            query=flatten_maps(maps, channels),
            query_pos=torch.cat(of_levels, 1),
            key_padding_mask=None,
            pyramid=pyramid,
        )
        pixels = memory.split([height * width for height, width in sizes], 1)
        outs = [one.mT.unflatten(2, size) for one, size in zip(pixels, sizes, strict=True)]
        for conv, output, level in zip(
            reversed(self.lateral_convs), reversed(self.output_convs), reversed(feats[: len(self.lateral_convs)])
        ):
            lateral = conv(level)
            larger = F.interpolate(outs[-1], lateral.shape[-2:], mode='bilinear', align_corners=False)
            outs.append(output(lateral + larger))
        return self.mask_feature(outs[-1]), outs[: self.num_outs]


def level_positions(pyramid: Pyramid, coding: nn.Module, device: torch.device) -> tuple[Tensor, ...]:
    """What mmdet's `SinePositionalEncoding` gives each level's pixels, [B, H * W, C]; B is 1 if nothing is padded."""
    return sine_positions(pyramid, SineSettings(*(getattr(coding, name) for name in SineSettings._fields)), device)
