"""Things with parameters: the backbone and its parts."""

from swin_mmdet.models.swin_transformer import SwinTransformer

__all__ = ['SwinTransformer']
