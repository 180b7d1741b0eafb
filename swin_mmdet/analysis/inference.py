"""One image through every part of a detector, with as many boxes as published operation counts have."""

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import numpy as np
import torch
from mmdet.models.dense_heads import EmbeddingRPNHead
from mmdet.models.detectors import TwoStageDetector
from mmdet.models.roi_heads import CascadeRoIHead, SparseRoIHead
from mmdet.structures import DetDataSample, SampleList
from mmdet.structures.bbox import bbox2roi
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData
from torch import Tensor, nn

from swin_mmdet.detectors.mask_logits import mask_logits, semantic_features

# objects whose masks are predicted, as mmdet counts them for its tables
MASKED_REGIONS = 100


def make_image(model: nn.Module, height: int, width: int, objects: int) -> dict:
    """What a data loader gives for one image with some equal objects, masks if the model takes them."""
    sample = DetDataSample(
        metainfo=dict(
            img_id=0, img_path='', img_shape=(height, width), ori_shape=(height, width), scale_factor=(1.0, 1.0)
        )
    )
    boxes = torch.tensor([[0.0, 0.0, width / 4, height / 4]]).repeat(objects, 1)
    labels = torch.zeros(objects, dtype=torch.long)
    sample.gt_instances = InstanceData(bboxes=boxes, labels=labels)
    sample.ignored_instances = InstanceData(bboxes=boxes[:0], labels=labels[:0])
    if model.data_preprocessor.pad_mask:
        masks = np.zeros((objects, height, width), np.uint8)
        masks[:, : height // 4, : width // 4] = 1
        sample.gt_instances.masks = BitmapMasks(masks, height, width)
    if model.data_preprocessor.pad_seg:
        sample.gt_sem_seg = PixelData(sem_seg=torch.zeros(1, height, width, dtype=torch.long))
    return {'inputs': [torch.zeros(3, height, width, dtype=torch.uint8)], 'data_samples': [sample]}


def run_parts(model: nn.Module, images: Tensor, samples: SampleList) -> None:
    """Every part of an inference of one image, once; nothing chooses boxes.

    The second stage gets as many proposals as the test configuration allows, masks are made of `MASKED_REGIONS`.
    """
    if not isinstance(model, TwoStageDetector) or isinstance(model.rpn_head, EmbeddingRPNHead):
        model(images, samples, mode='tensor')
        return
    maps = model.extract_feat(images)
    model.rpn_head(maps)
    proposals = images.new_tensor([[0, 0, 64, 64]]).repeat(model.test_cfg.rpn.max_per_img, 1)
    if isinstance(model.roi_head, CascadeRoIHead) and not isinstance(model.roi_head, SparseRoIHead):
        _run_cascade(model.roi_head, maps, bbox2roi([proposals]), samples)
    else:
        model.roi_head(maps, [InstanceData(bboxes=proposals)], samples)


def _run_cascade(head: CascadeRoIHead, maps: tuple[Tensor, ...], rois: Tensor, samples: SampleList) -> None:
    """As mmdet's forward of the head, which in its version 3 makes masks of all proposals instead of a hundred."""
    semantic = semantic_features(head, maps)
    head._refine_roi(maps, rois, [sample.metainfo for sample in samples], (len(rois),), **semantic)
    if head.with_mask:
        rois = rois[:MASKED_REGIONS]
        mask_logits(head, maps, rois, torch.zeros(len(rois), dtype=torch.long, device=rois.device), **semantic)
