"""Detectors from Python and notebooks: `from swin_mmdet import Detector`."""

import swin_mmdet.compat  # noqa: F401  mmdet can be imported only after it
from swin_mmdet.api.detections import Detections
from swin_mmdet.api.detector import Detector
from swin_mmdet.api.masks import Masks
from swin_mmdet.api.slices import Slices

__all__ = ['Detections', 'Detector', 'Masks', 'Slices']
