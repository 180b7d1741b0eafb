"""HTC (arXiv 1901.07518) as in mmdet, without the semantic branch, with Swin-T as its backbone."""

_base_ = ['mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py', './swin-t.py']

model = dict(
    type='HybridTaskCascade',
    backbone=dict(_delete_=True, **_base_.swin_t),
    neck=dict(in_channels='from_backbone'),
    # mmdet's parts, for a whole batch at once
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    rpn_head=dict(type='swin_mmdet.RPNHead'),
    roi_head=dict(
        # box heads are those of mmdet's Cascade R-CNN, class-agnostic with a smooth L1 loss
        type='swin_mmdet.HybridTaskCascadeRoIHead',
        interleaved=True,
        mask_info_flow=True,
        bbox_roi_extractor=dict(type='swin_mmdet.SingleRoIExtractor'),
        mask_roi_extractor=dict(type='swin_mmdet.SingleRoIExtractor'),
        mask_head=[
            dict(
                type='HTCMaskHead',
                with_conv_res=stage > 0,
                num_convs=4,
                in_channels=256,
                conv_out_channels=256,
                num_classes=80,
                loss_mask=dict(type='CrossEntropyLoss', use_mask=True, loss_weight=1.0),
            )
            for stage in range(3)
        ],
    ),
    train_cfg=dict(
        rcnn=[
            dict(
                # boxes that fit an object best are its own even below the threshold, other than in Cascade R-CNN
                assigner=dict(
                    type='MaxIoUAssigner', pos_iou_thr=iou, neg_iou_thr=iou, min_pos_iou=iou, ignore_iof_thr=-1
                ),
                sampler=dict(
                    type='RandomSampler', num=512, pos_fraction=0.25, neg_pos_ub=-1, add_gt_as_proposals=True
                ),
                mask_size=28,
                pos_weight=-1,
                debug=False,
            )
            for iou in (0.5, 0.6, 0.7)
        ]
    ),
    test_cfg=dict(rcnn=dict(score_thr=0.001)),
)
