"""Things with parameters: the backbones and their parts, a norm of convolutions."""

from swin_mmdet.models.layer_norm_2d import LayerNorm2d
from swin_mmdet.models.swin_transformer import SwinTransformer, SwinTransformerV2

__all__ = ['LayerNorm2d', 'SwinTransformer', 'SwinTransformerV2']
