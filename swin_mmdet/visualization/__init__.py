"""Pictures of what a detector found."""

from swin_mmdet.visualization.instances import picture_of
from swin_mmdet.visualization.visualizer import DetLocalVisualizer

__all__ = ['DetLocalVisualizer', 'picture_of']
