"""What the mask heads of mmdet's three kinds of RoI heads predict for boxes, before anything is averaged."""

from collections.abc import Sequence

import torch
from mmdet.models.roi_heads import CascadeRoIHead, HybridTaskCascadeRoIHead, StandardRoIHead
from torch import Tensor


def semantic_features(roi_head: StandardRoIHead | CascadeRoIHead, x: Sequence[Tensor]) -> dict[str, Tensor]:
    """`semantic_feat`, [B, C, H, W], that the box and mask heads of HTC with a semantic branch take; else nothing."""
    if isinstance(roi_head, HybridTaskCascadeRoIHead) and roi_head.with_semantic:
        return {'semantic_feat': roi_head.semantic_head(x)[1]}
    return {}


def mask_logits(
    roi_head: StandardRoIHead | CascadeRoIHead,
    x: Sequence[Tensor],
    rois: Tensor,
    labels: Tensor,
    semantic_feat: Tensor | None = None,
) -> Tensor:
    """Of each stage that a prediction is the mean of: rois [R, 5] of labels [R] -> [stages, R, S, S]."""
    if isinstance(roi_head, HybridTaskCascadeRoIHead):
        # its stages build on each other, and the last one alone is the prediction
        stages = roi_head._mask_forward(-1, x, rois, semantic_feat, training=False)['mask_preds']
    elif isinstance(roi_head, CascadeRoIHead):
        stages = [roi_head._mask_forward(stage, x, rois)['mask_preds'] for stage in range(roi_head.num_stages)]
    else:
        stages = [roi_head._mask_forward(x, rois)['mask_preds']]
    return torch.stack([_of_label(logits, labels) for logits in stages])


def _of_label(every: Tensor, labels: Tensor) -> Tensor:
    """[R, K, ...] -> [R, ...]: what is predicted for labels [R], or for all classes where K is 1."""
    return every[:, 0] if every.shape[1] == 1 else every[torch.arange(len(every), device=every.device), labels]
