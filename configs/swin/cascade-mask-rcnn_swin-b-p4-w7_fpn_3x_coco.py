"""Cascade Mask R-CNN, Swin-B, 3x, AMP; 8 GPUs x 2 images. 145M parameters, 982 GFLOPs at 1280x800.

Published by the Swin authors: 51.9 box / 45.0 mask AP on val2017. Not rerun here.
"""

_base_ = './cascade-mask-rcnn_swin-t-p4-w7_fpn_3x_coco.py'

model = dict(
    backbone=dict(
        arch='base', drop_path_rate=0.3, init_cfg=dict(checkpoint=_base_.weights.swin_base_patch4_window7_224)
    ),
)
