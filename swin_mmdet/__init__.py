"""Swin Transformer detectors for MMDetection 3.x on any current PyTorch. Importing this package imports no torch."""

from swin_mmdet.lazy import attributes

__version__ = '0.1.0'
__getattr__ = attributes(
    __name__,
    Detector='swin_mmdet.api.detector',
    Detections='swin_mmdet.api.detections',
    Slices='swin_mmdet.api.slices',
)
