"""ATSS (arXiv 1912.02424) with mmdet's settings and Swin-T as its backbone, ImageNet-1K weights of the authors.

mmdet has these settings in one file with a schedule and data, which cannot be combined with ours.
"""

_base_ = './swin-t.py'

model = dict(
    type='ATSS',
    data_preprocessor=_base_.preprocessor,
    backbone=dict(**_base_.swin_t, out_indices=(1, 2, 3)),
    neck=dict(type='FPN', in_channels='from_backbone', out_channels=256, add_extra_convs='on_output', num_outs=5),
    bbox_head=dict(
        type='swin_mmdet.ATSSHead',
        num_classes=80,
        in_channels=256,
        feat_channels=256,
        stacked_convs=4,
        anchor_generator=dict(
            type='AnchorGenerator', ratios=[1.0], octave_base_scale=8, scales_per_octave=1, strides=[8, 16, 32, 64, 128]
        ),
        bbox_coder=dict(
            type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=[0.1, 0.1, 0.2, 0.2]
        ),
        loss_cls=dict(type='FocalLoss', use_sigmoid=True, gamma=2.0, alpha=0.25, loss_weight=1.0),
        loss_bbox=dict(type='GIoULoss', loss_weight=2.0),
        loss_centerness=dict(type='CrossEntropyLoss', use_sigmoid=True, loss_weight=1.0),
    ),
    train_cfg=dict(assigner=dict(type='ATSSAssigner', topk=9), allowed_border=-1, pos_weight=-1, debug=False),
    test_cfg=dict(
        nms_pre=1000, min_bbox_size=0, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100
    ),
)
