"""Pictures of what a detector found."""

from swin_mmdet.visualization.visualizer import DetLocalVisualizer

__all__ = ['DetLocalVisualizer']
