"""Parts of mmdet's two-stage detectors that take all images of a batch at once and wait for no GPU."""

from swin_mmdet.detectors.cascade_roi_head import CascadeRoIHead
from swin_mmdet.detectors.data_preprocessor import DetDataPreprocessor
from swin_mmdet.detectors.htc_roi_head import HybridTaskCascadeRoIHead
from swin_mmdet.detectors.roi_extractor import SingleRoIExtractor
from swin_mmdet.detectors.rpn_head import RPNHead
from swin_mmdet.detectors.standard_roi_head import StandardRoIHead
from swin_mmdet.detectors.tta import DetTTAModel

__all__ = [
    'CascadeRoIHead',
    'DetDataPreprocessor',
    'DetTTAModel',
    'HybridTaskCascadeRoIHead',
    'RPNHead',
    'SingleRoIExtractor',
    'StandardRoIHead',
]
