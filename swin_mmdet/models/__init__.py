"""Things with parameters: the backbones and their parts."""

from swin_mmdet.models.swin_transformer import SwinTransformer, SwinTransformerV2

__all__ = ['SwinTransformer', 'SwinTransformerV2']
