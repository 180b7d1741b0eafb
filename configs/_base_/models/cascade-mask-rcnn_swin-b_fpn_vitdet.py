"""Cascade Mask R-CNN as detectron2's ViTDet project has it for Swin-B: LayerNorm in neck and heads, 1024 px squares.

Theirs has one mask head, trained on the first stage's boxes, and keeps the first stage's sample of boxes; mmdet's has
a mask head for each stage, whose masks are averaged, and samples in each stage. Theirs sums the stages' losses and
divides the gradient of the features by three: of AdamW, weights of a third give the same.
"""

_base_ = './cascade-mask-rcnn_swin-t_fpn.py'

norm_cfg = dict(type='swin_mmdet.LayerNorm2d', eps=1e-6)
heads = dict(
    norm_cfg=norm_cfg,
    reg_class_agnostic=True,
    reg_decoded_bbox=False,
    loss_bbox=dict(type='L1Loss', loss_weight=1.0),
)

model = dict(
    # no side is longer, so each image becomes a square
    data_preprocessor=dict(pad_size_divisor=1024),
    backbone=dict(
        arch='base',
        drop_path_rate=0.4,
        init_cfg=dict(checkpoint=_base_.weights.swin_base_patch4_window7_224_22k),
    ),
    neck=dict(norm_cfg=norm_cfg),
    rpn_head=dict(num_convs=2, loss_bbox=dict(_delete_=True, type='L1Loss', loss_weight=1.0)),
    roi_head=dict(
        stage_loss_weights=[1 / 3, 1 / 3, 1 / 3],
        bbox_head=[{**head, **heads} for head in _base_.model.roi_head.bbox_head],
        mask_head=dict(norm_cfg=norm_cfg),
    ),
    train_cfg=dict(rpn=dict(allowed_border=-1), rpn_proposal=dict(max_per_img=1000)),
)
