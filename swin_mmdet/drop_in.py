"""Importing this makes parts in MMDetection's registries ours, so that an existing config runs on them unchanged.

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
    ATSSHead,
    BertModel,
    CascadeRoIHead,
    DetDataPreprocessor,
    DetTTAModel,
    EmbeddingRPNHead,
    HybridTaskCascadeRoIHead,
    RetinaHead,
    RPNHead,
    SingleRoIExtractor,
    SparseRoIHead,
    StandardRoIHead,
)

MODELS = (
    ATSSHead,
    BertModel,
    CascadeRoIHead,
    DetDataPreprocessor,
    DetTTAModel,
    EmbeddingRPNHead,
    HybridTaskCascadeRoIHead,
    RetinaHead,
    RPNHead,
    SingleRoIExtractor,
    SparseRoIHead,
    StandardRoIHead,
)
TRANSFORMS = (Albu, LoadAnnotations, PackDetInputs, RandomFlip)

for part in MODELS:
    MMDET_MODELS.register_module(module=part, force=True)
for part in TRANSFORMS:
    MMDET_TRANSFORMS.register_module(module=part, force=True)
