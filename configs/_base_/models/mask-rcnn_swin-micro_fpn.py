"""Mask R-CNN with a 2M-parameter Swin and thin heads, for images of about 200 px and training from scratch."""

_base_ = 'mmdet::_base_/models/mask-rcnn_r50_fpn.py'

# heads with norms learn from scratch in a fraction of the iterations
norm_cfg = dict(type='GN', num_groups=8)

model = dict(
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        embed_dims=32,
        depths=(1, 1, 2, 1),
        num_heads=(2, 4, 8, 16),
        # 6 divides the sides of all four maps of a 192 px image: nothing is spent on padding
        window_size=6,
        drop_path_rate=0.0,
    ),
    neck=dict(in_channels='from_backbone', out_channels=64, num_outs=4, norm_cfg=norm_cfg),
    rpn_head=dict(
        in_channels=64,
        feat_channels=64,
        anchor_generator=dict(scales=[4], strides=[4, 8, 16, 32]),
        # good boxes early: the second stage starts from them
        loss_bbox=dict(loss_weight=5.0),
    ),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=64, roi_layer=dict(sampling_ratio=2)),
        bbox_head=dict(
            type='ConvFCBBoxHead',
            num_shared_convs=2,
            num_shared_fcs=1,
            in_channels=64,
            conv_out_channels=64,
            fc_out_channels=256,
            norm_cfg=norm_cfg,
            # with so few boxes a step, classes are what is learned last
            loss_cls=dict(loss_weight=2.0),
        ),
        mask_roi_extractor=dict(out_channels=64, roi_layer=dict(sampling_ratio=2)),
        mask_head=dict(in_channels=64, conv_out_channels=32, num_convs=2, norm_cfg=norm_cfg),
    ),
    train_cfg=dict(
        rpn=dict(sampler=dict(num=64)),
        rpn_proposal=dict(nms_pre=200, max_per_img=100),
        # few and well-fitting boxes of many images: a class is hardly learned from a box that is half off
        rcnn=dict(assigner=dict(pos_iou_thr=0.7, min_pos_iou=0.7), sampler=dict(num=16, pos_fraction=0.5)),
    ),
    test_cfg=dict(rpn=dict(nms_pre=200, max_per_img=100)),
)
