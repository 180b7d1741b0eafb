"""HTC++ of the Swin paper (arXiv 2103.14030, appendix A2.2) with Swin-B.

No code was released. The published parameters and FLOPs of Swin-B and Swin-L agree with windows of 7, class-agnostic
box heads of 4 convolutions and 1 fc, the semantic branch, and a whole transformer block as the extra attention. They do
not tell the norm of the box heads, which is that of the authors' Cascade R-CNN, nor how scores fall in soft-NMS.
"""

_base_ = './htc_swin-t_fpn.py'

model = dict(
    backbone=dict(arch='base', init_cfg=dict(checkpoint=_base_.weights.swin_base_patch4_window7_224_22k)),
    neck=[
        dict(type='swin_mmdet.GlobalAttention', in_channels='from_backbone', drop_path_rate=0.2),
        dict(type='FPN', in_channels='from_backbone', out_channels=256, num_outs=5),
    ],
    data_preprocessor=dict(pad_seg=True),
    roi_head=dict(
        semantic_roi_extractor=dict(
            type='swin_mmdet.SingleRoIExtractor',
            roi_layer=dict(type='RoIAlign', output_size=14, sampling_ratio=0),
            out_channels=256,
            featmap_strides=[8],
        ),
        # things and stuff, of all maps together in the size of the second
        semantic_head=dict(
            type='FusedSemanticHead',
            num_ins=5,
            fusion_level=1,
            seg_scale_factor=1 / 8,
            num_convs=4,
            in_channels=256,
            conv_out_channels=256,
            num_classes=183,
            loss_seg=dict(type='CrossEntropyLoss', ignore_index=255, loss_weight=0.2),
        ),
        bbox_head=[
            dict(
                type='Shared4Conv1FCBBoxHead',
                in_channels=256,
                fc_out_channels=1024,
                roi_feat_size=7,
                num_classes=80,
                norm_cfg=dict(type='SyncBN', requires_grad=True),
                bbox_coder=dict(type='DeltaXYWHBBoxCoder', target_means=[0.0, 0.0, 0.0, 0.0], target_stds=stds),
                reg_class_agnostic=True,
                loss_cls=dict(type='CrossEntropyLoss', use_sigmoid=False, loss_weight=1.0),
                loss_bbox=dict(type='SmoothL1Loss', beta=1.0, loss_weight=1.0),
            )
            for stds in ([0.1, 0.1, 0.2, 0.2], [0.05, 0.05, 0.1, 0.1], [0.033, 0.033, 0.067, 0.067])
        ]
    ),
    test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms', iou_threshold=0.5))),
)
