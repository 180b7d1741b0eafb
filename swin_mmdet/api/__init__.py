"""Detectors from Python and notebooks; `from swin_mmdet import Detector` is the door."""
