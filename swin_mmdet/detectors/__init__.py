"""Parts of mmdet's detectors: for all images of a batch at once, test-time augmentation, a language model."""

from swin_mmdet.detectors.atss_head import ATSSHead
from swin_mmdet.detectors.cascade_roi_head import CascadeRoIHead
from swin_mmdet.detectors.conditional_detr_head import ConditionalDETRHead
from swin_mmdet.detectors.data_preprocessor import DetDataPreprocessor
from swin_mmdet.detectors.ddq_detr_head import DDQDETRHead
from swin_mmdet.detectors.deformable_detr import DeformableDETR
from swin_mmdet.detectors.deformable_detr_head import DeformableDETRHead
from swin_mmdet.detectors.detr_head import DETRHead
from swin_mmdet.detectors.dino import DINO
from swin_mmdet.detectors.dino_head import DINOHead
from swin_mmdet.detectors.embedding_rpn_head import EmbeddingRPNHead
from swin_mmdet.detectors.grounding_dino import GroundingDINO
from swin_mmdet.detectors.grounding_dino_head import GroundingDINOHead
from swin_mmdet.detectors.htc_roi_head import HybridTaskCascadeRoIHead
from swin_mmdet.detectors.language_model import BertModel
from swin_mmdet.detectors.mask2former import Mask2Former
from swin_mmdet.detectors.mask2former_head import Mask2FormerHead
from swin_mmdet.detectors.mask_fusion_head import MaskFormerFusionHead
from swin_mmdet.detectors.maskformer_head import MaskFormerHead
from swin_mmdet.detectors.pixel_decoder import MSDeformAttnPixelDecoder
from swin_mmdet.detectors.retina_head import RetinaHead
from swin_mmdet.detectors.roi_extractor import SingleRoIExtractor
from swin_mmdet.detectors.rpn_head import RPNHead
from swin_mmdet.detectors.rtmdet_head import RTMDetHead, RTMDetSepBNHead
from swin_mmdet.detectors.sparse_roi_head import SparseRoIHead
from swin_mmdet.detectors.standard_roi_head import StandardRoIHead
from swin_mmdet.detectors.tta import DetTTAModel
from swin_mmdet.detectors.views import use_tta

__all__ = [
    'DINO',
    'ATSSHead',
    'BertModel',
    'CascadeRoIHead',
    'ConditionalDETRHead',
    'DDQDETRHead',
    'DETRHead',
    'DINOHead',
    'DeformableDETR',
    'DeformableDETRHead',
    'DetDataPreprocessor',
    'DetTTAModel',
    'EmbeddingRPNHead',
    'GroundingDINO',
    'GroundingDINOHead',
    'HybridTaskCascadeRoIHead',
    'MSDeformAttnPixelDecoder',
    'Mask2Former',
    'Mask2FormerHead',
    'MaskFormerFusionHead',
    'MaskFormerHead',
    'RPNHead',
    'RTMDetHead',
    'RTMDetSepBNHead',
    'RetinaHead',
    'SingleRoIExtractor',
    'SparseRoIHead',
    'StandardRoIHead',
    'use_tta',
]
