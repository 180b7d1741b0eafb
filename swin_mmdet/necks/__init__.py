"""Parts between a backbone and its heads that mmdet has not, or has otherwise."""

from swin_mmdet.necks.bifpn import BiFPN
from swin_mmdet.necks.dyhead import DyHead
from swin_mmdet.necks.global_attention import GlobalAttention

__all__ = ['BiFPN', 'DyHead', 'GlobalAttention']
