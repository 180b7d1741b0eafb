"""Deformable convolution, plain and modulated: one public function, several backends."""

from swin_mmdet.ops.deformable_convolution.geometry import Geometry
from swin_mmdet.ops.deformable_convolution.interface import deformable_convolution

__all__ = ['Geometry', 'deformable_convolution']
