"""Which program is that of a detector, and why some have none."""

from mmcv.ops import DeformConv2d, ModulatedDeformConv2d
from mmdet.models.dense_heads import ATSSHead, DeformableDETRHead, Mask2FormerHead, RetinaHead, RTMDetHead
from mmdet.models.detectors.base import BaseDetector
from mmdet.models.roi_heads import CascadeRoIHead, SparseRoIHead, StandardRoIHead
from mmengine.config import ConfigDict

from swin_mmdet.config import type_name
from swin_mmdet.export.dense import Dense
from swin_mmdet.export.mask_queries import MaskQueries
from swin_mmdet.export.points import Points
from swin_mmdet.export.program import Program
from swin_mmdet.export.queries import Queries
from swin_mmdet.export.sparse import Sparse
from swin_mmdet.export.two_stage import TwoStage
from swin_mmdet.reppoints_v2 import RepPointsV2Head

# the part that decides, the class that it has, and the program; of classes that inherit each other the last comes first
FAMILIES = (
    ('roi_head', SparseRoIHead, Sparse),
    ('roi_head', CascadeRoIHead, TwoStage),
    ('roi_head', StandardRoIHead, TwoStage),
    ('panoptic_head', Mask2FormerHead, MaskQueries),
    ('bbox_head', RetinaHead, Dense),
    ('bbox_head', ATSSHead, Dense),
    ('bbox_head', RTMDetHead, Dense),
    ('bbox_head', DeformableDETRHead, Queries),
    ('bbox_head', RepPointsV2Head, Points),
)
# detectors that have no program whatever is set in them, and why
NEVER = {
    'GroundingDINO': 'what it looks for are the words of a text, which a language model reads in each image anew',
    'GLIP': 'what it looks for are the words of a text, which a language model reads in each image anew',
}
KNOWN = (
    'Faster, Mask, Cascade and Sparse R-CNN, HTC, RetinaNet, ATSS, RTMDet, RepPoints V2, Deformable DETR, DINO and the '
    'instances of Mask2Former'
)


def why_never(model: ConfigDict) -> str | None:
    """The reason why no detector of such a config is exported, before it is built; None where there may be one."""
    name = type_name(model)
    return f'{name} is not exported: {NEVER[name]}' if name in NEVER else None


def family_of(model: BaseDetector) -> type[Program]:
    """The program of such a detector.

    Raises:
        ValueError: it has none, or a setting that the program has not; says which.
    """
    families = (family for part, kind, family in FAMILIES if isinstance(getattr(model, part, None), kind))
    family = next(families, None)
    if family is None:
        parts = dict.fromkeys(part for part, _, _ in FAMILIES)
        heads = [type(getattr(model, part)).__name__ for part in parts if hasattr(model, part)]
        which = ' with '.join([type(model).__name__, *heads])
        raise ValueError(f'{which} is not exported; these are: {KNOWN}')
    reason = family.why_not(model) or _deformable(model, family)
    if reason is not None:
        raise ValueError(f'{type(model).__name__} is not exported as it is set: {reason}')
    return family


def _deformable(model: BaseDetector, family: type[Program]) -> str | None:
    """A reason where there is a convolution that a program has no other way to."""
    for name, part in model.named_modules():
        if isinstance(part, DeformConv2d | ModulatedDeformConv2d) and not isinstance(part, family.sampled):
            return f'{name} is a deformable convolution, for which onnxruntime has no operator'
    return None
