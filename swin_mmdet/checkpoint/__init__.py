"""Files and key names: any known Swin checkpoint to the canonical layout and into a model."""

from swin_mmdet.checkpoint.convert import convert
from swin_mmdet.checkpoint.describe import describe_checkpoint
from swin_mmdet.checkpoint.detector import has_swin_backbone, load_detector_weights
from swin_mmdet.checkpoint.files import CheckpointFile, read_checkpoint
from swin_mmdet.checkpoint.formats import detect_format
from swin_mmdet.checkpoint.load import load_backbone_weights
from swin_mmdet.checkpoint.report import LoadReport
from swin_mmdet.checkpoint.state_dict_hook import adopt_foreign_keys
from swin_mmdet.checkpoint.translate import to_canonical
from swin_mmdet.checkpoint.write import write_checkpoint

__all__ = [
    'CheckpointFile',
    'LoadReport',
    'adopt_foreign_keys',
    'convert',
    'describe_checkpoint',
    'detect_format',
    'has_swin_backbone',
    'load_backbone_weights',
    'load_detector_weights',
    'read_checkpoint',
    'to_canonical',
    'write_checkpoint',
]
