"""RepPoints V2 (arXiv 2007.08508) as the Swin authors released it: BiFPN, Swin-T with their ImageNet-1K weights."""

_base_ = './swin-t.py'

norm_cfg = dict(type='GN', num_groups=32, requires_grad=True)

model = dict(
    type='SingleStageDetector',
    data_preprocessor=_base_.preprocessor,
    backbone=dict(**_base_.swin_t, out_indices=(1, 2, 3)),
    neck=dict(
        type='swin_mmdet.BiFPN',
        in_channels='from_backbone',
        out_channels=256,
        num_outs=5,
        num_repeat=2,
        norm_cfg=norm_cfg,
    ),
    bbox_head=dict(
        type='swin_mmdet.RepPointsV2Head',
        num_classes=80,
        in_channels=256,
        feat_channels=256,
        stacked_convs=3,
        shared_stacked_convs=1,
        point_feat_channels=256,
        corner_dim=64,
        num_points=9,
        gradient_mul=0.1,
        point_strides=[8, 16, 32, 64, 128],
        point_base_scale=4,
        norm_cfg=norm_cfg,
        loss_cls=dict(type='QualityFocalLoss', use_sigmoid=True, beta=2.0, loss_weight=1.0),
        loss_bbox_init=dict(type='swin_mmdet.RPDGIoULoss', loss_weight=1.0),
        loss_bbox_refine=dict(type='swin_mmdet.RPDGIoULoss', loss_weight=2.0),
        loss_heatmap=dict(type='GaussianFocalLoss', alpha=2.0, gamma=4.0, loss_weight=0.25),
        loss_offset=dict(type='SmoothL1Loss', beta=1 / 9, loss_weight=1.0),
        loss_sem=dict(type='swin_mmdet.SEPFocalLoss', gamma=2.0, alpha=0.25, loss_weight=0.1),
    ),
    train_cfg=dict(topk=9, gaussian_iou=0.7),
    test_cfg=dict(nms_pre=1000, score_thr=0.05, nms=dict(type='nms', iou_threshold=0.6), max_per_img=100),
)
