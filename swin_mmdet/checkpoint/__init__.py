"""Files and key names: any known Swin checkpoint to the canonical layout and into a model."""

from swin_mmdet.checkpoint.formats import detect_format, to_canonical, translate_in_place
from swin_mmdet.checkpoint.load import load_backbone_weights
from swin_mmdet.checkpoint.report import LoadReport

__all__ = ['LoadReport', 'detect_format', 'load_backbone_weights', 'to_canonical', 'translate_in_place']
