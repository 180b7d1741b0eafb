"""Parts between a backbone and its pyramid."""

from swin_mmdet.necks.global_attention import GlobalAttention

__all__ = ['GlobalAttention']
