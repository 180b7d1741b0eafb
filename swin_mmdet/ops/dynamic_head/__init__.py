"""The operations of a dynamic head (arXiv 2106.08322): all levels of a feature pyramid at once."""

from swin_mmdet.ops.dynamic_head.interface import blend_levels, convolve_levels, segment_moments
from swin_mmdet.ops.dynamic_head.levels import KINDS, Levels

__all__ = ['KINDS', 'Levels', 'blend_levels', 'convolve_levels', 'segment_moments']
