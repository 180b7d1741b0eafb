"""Multi-scale deformable attention: two public functions, several backends."""

from swin_mmdet.ops.deformable_attention.interface import deformable_attention, sample_levels

__all__ = ['deformable_attention', 'sample_levels']
