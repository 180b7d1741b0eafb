"""Detectors in files that run without mmdet, each with the proof that it finds what the detector finds."""

from swin_mmdet.export.detector import export_backbone, export_checkpoint, export_detector
from swin_mmdet.export.options import ExportOptions

__all__ = ['ExportOptions', 'export_backbone', 'export_checkpoint', 'export_detector']
