"""Which detectors' steps do the same whatever their batch holds, so that one recording stands for all."""

from collections.abc import Sequence

import torch
from mmcv.cnn import ConvModule, Scale
from mmcv.ops import RoIAlign
from mmdet.models.detectors import (
    ATSS,
    CascadeRCNN,
    FasterRCNN,
    MaskRCNN,
    RetinaNet,
    SingleStageDetector,
    TwoStageDetector,
)
from mmdet.models.necks import FPN
from mmdet.models.roi_heads.bbox_heads import ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead
from mmdet.models.roi_heads.mask_heads import FCNMaskHead
from mmdet.structures import DetDataSample
from mmengine.model import BaseModel, ModuleList, Sequential
from torch import Tensor, nn

from swin_mmdet.detectors.atss_head import ATSSHead
from swin_mmdet.detectors.cascade_roi_head import CascadeRoIHead
from swin_mmdet.detectors.data_preprocessor import DetDataPreprocessor
from swin_mmdet.detectors.elementwise import KNOWN
from swin_mmdet.detectors.fixed_prediction import why_not_fixed
from swin_mmdet.detectors.region_sampling import is_own_norm
from swin_mmdet.detectors.retina_head import RetinaHead
from swin_mmdet.detectors.roi_extractor import SingleRoIExtractor
from swin_mmdet.detectors.rpn_head import RPNHead
from swin_mmdet.detectors.standard_roi_head import StandardRoIHead
from swin_mmdet.models.swin_backbone import SwinBackbone
from swin_mmdet.structures import PackedMasks

# and of what kind they are
DETECTORS = {
    **dict.fromkeys((FasterRCNN, MaskRCNN, CascadeRCNN), TwoStageDetector),
    **dict.fromkeys((RetinaNet, ATSS), SingleStageDetector),
}
# of mmdet's, which say how the parts work together
METHODS = 'forward', 'loss', 'extract_feat', 'parse_losses', '_run_forward'
HEADS = RPNHead, StandardRoIHead, CascadeRoIHead, RetinaHead, ATSSHead
PLAIN = frozenset(
    {nn.Conv2d, nn.ConvTranspose2d, nn.Linear, nn.ReLU, nn.Identity, nn.GroupNorm, Scale}
    | {nn.Sequential, nn.ModuleList, Sequential, ModuleList}
    | {FPN, ConvModule, ConvFCBBoxHead, Shared2FCBBoxHead, Shared4Conv1FCBBoxHead, FCNMaskHead}
    | {RoIAlign, SingleRoIExtractor, *HEADS, *KNOWN}
)
# of mmcv, subclasses that only take empty tensors besides
WRAPPERS = 'mmcv.cnn.bricks.wrappers'


def why_not_recordable(model: nn.Module) -> str | None:
    """None when a training step of this detector asks its device nothing and keeps nothing, else why in words."""
    reason = why_not_detector(model)
    if reason is not None:
        return reason
    if type(model).train_step is not BaseModel.train_step:
        return f'{type(model).__name__} has a train_step of its own'
    if type(model.data_preprocessor) is not DetDataPreprocessor:
        return f'the preprocessor is {type(model.data_preprocessor).__name__}, not swin_mmdet.DetDataPreprocessor'
    if len({(x.dtype, x.device) for x in model.parameters() if x.requires_grad}) != 1:
        return 'trained weights are of several dtypes or devices'
    reason = _why_not_parts(model)
    if reason is not None or isinstance(model, SingleStageDetector):
        return reason or _first_reason((model.bbox_head, model.bbox_head.why_not_recorded()))
    return _first_reason(
        (model.rpn_head, model.rpn_head.why_not_recorded(model.train_cfg.get('rpn_proposal', model.test_cfg.rpn))),
        (model.roi_head, model.roi_head.why_not_recorded()),
    )


def why_not_predictable(model: nn.Module) -> str | None:
    """None when a prediction of this detector can be made without a question to its device, else why in words."""
    reason = why_not_detector(model) or _why_not_parts(model)
    return reason or _first_reason(
        (model.rpn_head, model.rpn_head.why_not_proposed(model.test_cfg.rpn)),
        (model.roi_head, why_not_fixed(model.roi_head)),
    )


def why_not_detector(model: nn.Module) -> str | None:
    """None when the detector itself is one whose steps are known, else why in words."""
    kind = next((kind for detector, kind in DETECTORS.items() if isinstance(model, detector)), None)
    if kind is None:
        return f'the detector is {type(model).__name__}'
    for method in METHODS:
        if method in vars(model) or getattr(type(model), method) is not getattr(kind, method):
            return f'{type(model).__name__} has {method} of its own'
    return None


def _why_not_parts(model: nn.Module) -> str | None:
    if not isinstance(model.backbone, SwinBackbone):
        return f'the backbone is {type(model.backbone).__name__}'
    for part in _heads(model):
        if type(part) not in HEADS:
            return f'there is a {type(part).__name__}'
    if not model.backbone.cuda_graphs:
        return 'the backbone has cuda_graphs=False'
    inside = set(model.backbone.modules()) | set(model.data_preprocessor.modules())
    for name, module in model.named_modules():
        is_plain = type(module) in PLAIN or type(module).__module__ == WRAPPERS or is_own_norm(module)
        if name and module not in inside and not is_plain:
            return f'{name} is a {type(module).__name__}'
    # asked of the device that the weights are on
    image = torch.empty(1, model.backbone.in_channels, 64, 64, device=next(model.parameters()).device)
    return model.backbone.why_not_fused(image)


def _heads(model: nn.Module) -> list[nn.Module]:
    return [model.bbox_head] if isinstance(model, SingleStageDetector) else [model.rpn_head, model.roi_head]


def _first_reason(*parts: tuple[nn.Module, str | None]) -> str | None:
    return next((f'{type(part).__name__}: {reason}' for part, reason in parts if reason is not None), None)


def why_not_batch(model: nn.Module, images: object, samples: Sequence[DetDataSample] | None) -> str | None:
    """None when a batch from the preprocessor has all that a recorded step takes and nothing besides, else why."""
    if not isinstance(images, Tensor) or not samples:
        return 'the batch is no tensor of images with samples'
    for sample in samples:
        if 'proposals' in sample:
            return 'a sample has proposals'
        if len(sample.get('ignored_instances', ())) and _looks_at_ignored(model):
            return 'a sample has regions to ignore'
        masks = sample.gt_instances.get('masks')
        if masks is not None and not isinstance(masks, PackedMasks):
            return f'masks are {type(masks).__name__}'
        if masks is not None and (masks.height, masks.width) != tuple(images.shape[2:]):
            return f'masks are of {masks.height} x {masks.width} pixels in a batch of {tuple(images.shape[2:])}'
    return None if images.is_cuda else 'there is no GPU'


def _looks_at_ignored(model: nn.Module) -> bool:
    # those of an R-CNN's stages are its roi_head's
    assigners = [getattr(head, 'bbox_assigner', None) or head.assigner for head in _heads(model)]
    every = [one for each in assigners for one in (each if isinstance(each, list) else [each])]
    return any(one.ignore_iof_thr > 0 for one in every)
