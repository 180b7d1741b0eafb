"""Mask R-CNN as in mmdet with Swin-T as its backbone, ImageNet-1K weights of the authors."""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

pretrained = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth'

model = dict(
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='tiny',
        window_size=7,
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained),
    ),
    neck=dict(in_channels=[96, 192, 384, 768]),
    # mmdet's parts, for a whole batch at once
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    rpn_head=dict(type='swin_mmdet.RPNHead'),
    roi_head=dict(
        type='swin_mmdet.StandardRoIHead',
        bbox_roi_extractor=dict(type='swin_mmdet.SingleRoIExtractor'),
        mask_roi_extractor=dict(type='swin_mmdet.SingleRoIExtractor'),
    ),
)
