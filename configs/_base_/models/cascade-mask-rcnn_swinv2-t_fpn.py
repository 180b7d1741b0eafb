"""Cascade Mask R-CNN with the heads of Swin, with SwinV2-T and windows of 8, ImageNet-1K weights of the authors."""

_base_ = './cascade-mask-rcnn_swin-t_fpn.py'

model = dict(
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformerV2',
        arch='tiny',
        window_size=8,
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swinv2_tiny_patch4_window8_256),
    )
)
