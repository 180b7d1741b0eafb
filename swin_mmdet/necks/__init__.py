"""Necks that mmdet has not, or has otherwise."""

from swin_mmdet.necks.bifpn import BiFPN

__all__ = ['BiFPN']
