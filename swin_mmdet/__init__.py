"""Swin Transformer detectors for MMDetection 3.x on any current PyTorch. Importing this package imports no torch."""

from swin_mmdet.lazy import attributes

__version__ = '0.1.0'
__getattr__ = attributes(__name__, Detector='swin_mmdet.api', Detections='swin_mmdet.api', Slices='swin_mmdet.api')
