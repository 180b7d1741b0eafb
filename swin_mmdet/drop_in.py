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
import swin_mmdet.detectors as detectors
import swin_mmdet.recording as recording
from swin_mmdet.datasets.transforms import Albu, LoadAnnotations, PackDetInputs, RandomFlip
from swin_mmdet.necks import DyHead
from swin_mmdet.registry import take_the_place

EVERY = (getattr(detectors, name) for name in detectors.__all__)
MODELS = (
    *(part for part in EVERY if isinstance(part, type)),
    DyHead, recording.CascadeRCNN, recording.FasterRCNN, recording.MaskRCNN,
)  # fmt: skip
TRANSFORMS = (Albu, LoadAnnotations, PackDetInputs, RandomFlip)

for part in MODELS:
    take_the_place(MMDET_MODELS, part)
for part in TRANSFORMS:
    take_the_place(MMDET_TRANSFORMS, part)
