"""Cascade Mask R-CNN, SwinV2-B, windows of 8, 3x, AMP; 8 GPUs x 2 images. 145M parameters, 979 GFLOPs at 1280x800.

No result is published: the recipe is that of Swin-B. Not rerun here.
"""

_base_ = './cascade-mask-rcnn_swinv2-t-p4-w8_fpn_3x_coco.py'

model = dict(
    backbone=dict(
        arch='base',
        drop_path_rate=0.3,
        init_cfg=dict(checkpoint=_base_.weights.swinv2_base_patch4_window8_256),
    ),
)
