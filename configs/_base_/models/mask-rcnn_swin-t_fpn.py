"""Mask R-CNN as in mmdet with Swin-T as its backbone, ImageNet-1K weights of the authors."""

_base_ = ['mmdet::_base_/models/mask-rcnn_r50_fpn.py', './swin-t.py']

model = dict(
    type='swin_mmdet.MaskRCNN',
    backbone=dict(_delete_=True, **_base_.swin_t),
    neck=dict(in_channels='from_backbone'),
    # mmdet's parts, for a whole batch at once
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    rpn_head=dict(type='swin_mmdet.RPNHead'),
    roi_head=dict(
        type='swin_mmdet.StandardRoIHead',
        bbox_roi_extractor=dict(type='swin_mmdet.SingleRoIExtractor'),
        mask_roi_extractor=dict(type='swin_mmdet.SingleRoIExtractor'),
    ),
)
