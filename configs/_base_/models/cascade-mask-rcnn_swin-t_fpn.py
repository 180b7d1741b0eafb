"""Cascade Mask R-CNN with Swin-T and the paper's heads: 4 convolutions and 1 fc, SyncBN, GIoU on decoded boxes."""

_base_ = ['mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py', './swin-t.py']

model = dict(
    type='swin_mmdet.CascadeRCNN',
    backbone=dict(_delete_=True, **_base_.swin_t),
    neck=dict(in_channels='from_backbone'),
    # mmdet's parts, for a whole batch at once
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    rpn_head=dict(type='swin_mmdet.RPNHead'),
    roi_head=dict(
        type='swin_mmdet.CascadeRoIHead',
        bbox_roi_extractor=dict(type='swin_mmdet.SingleRoIExtractor'),
        mask_roi_extractor=dict(type='swin_mmdet.SingleRoIExtractor'),
        bbox_head=[
            dict(
                type='ConvFCBBoxHead',
                num_shared_convs=4,
                num_shared_fcs=1,
                in_channels=256,
                conv_out_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=80,
                norm_cfg=dict(type='SyncBN', requires_grad=True),
                bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=stds),
                reg_class_agnostic=False,
                reg_decoded_bbox=True,
                loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type='GIoULoss', loss_weight=10.0),
            )
            for stds in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])
        ]
    ),
)
