"""Importing this makes parts in MMDetection's registries ours, so that an existing config runs on them unchanged.

A `type` may be a name or, as in Python-style configs, the class.

One line in a config, `custom_imports = dict(imports=['swin_mmdet.drop_in'])`, or `--drop-in` of our tools. The backbone
alone is `swin_mmdet.drop_in_backbone`; any other part alone is named in a config, such as `swin_mmdet.RPNHead`.
"""

import swin_mmdet.drop_in_backbone  # noqa: F401  first: it makes mmdet importable

# isort: split
from mmdet.registry import MODELS as MMDET_MODELS
from mmdet.registry import TRANSFORMS as MMDET_TRANSFORMS

# inherit mmdet's classes, which are thus registered before
from swin_mmdet.datasets.transforms import Albu, LoadAnnotations, PackDetInputs, RandomFlip
from swin_mmdet.detectors import (
    DINO,
    ATSSHead,
    BertModel,
    CascadeRoIHead,
    ConditionalDETRHead,
    DeformableDETR,
    DeformableDETRHead,
    DetDataPreprocessor,
    DETRHead,
    DetTTAModel,
    DINOHead,
    EmbeddingRPNHead,
    GroundingDINO,
    GroundingDINOHead,
    HybridTaskCascadeRoIHead,
    Mask2Former,
    Mask2FormerHead,
    MaskFormerFusionHead,
    MSDeformAttnPixelDecoder,
    RetinaHead,
    RPNHead,
    RTMDetHead,
    RTMDetSepBNHead,
    SingleRoIExtractor,
    SparseRoIHead,
    StandardRoIHead,
)
from swin_mmdet.necks import DyHead
from swin_mmdet.registry import take_the_place

MODELS = (
    ATSSHead,
    BertModel,
    CascadeRoIHead,
    ConditionalDETRHead,
    DeformableDETR,
    DeformableDETRHead,
    DetDataPreprocessor,
    DETRHead,
    DetTTAModel,
    DINO,
    DINOHead,
    DyHead,
    EmbeddingRPNHead,
    GroundingDINO,
    GroundingDINOHead,
    HybridTaskCascadeRoIHead,
    Mask2Former,
    Mask2FormerHead,
    MaskFormerFusionHead,
    MSDeformAttnPixelDecoder,
    RetinaHead,
    RPNHead,
    RTMDetHead,
    RTMDetSepBNHead,
    SingleRoIExtractor,
    SparseRoIHead,
    StandardRoIHead,
)
TRANSFORMS = (Albu, LoadAnnotations, PackDetInputs, RandomFlip)

for part in MODELS:
    take_the_place(MMDET_MODELS, part)
for part in TRANSFORMS:
    take_the_place(MMDET_TRANSFORMS, part)
