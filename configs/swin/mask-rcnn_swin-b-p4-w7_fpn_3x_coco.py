"""Mask R-CNN, Swin-B, 3x, AMP; 8 GPUs x 2 images. 107M parameters.

The authors' recipe of Mask R-CNN, which they did not train with Swin-B.
Published by nobody that we know. Not rerun here.
"""

_base_ = './mask-rcnn_swin-t-p4-w7_fpn_3x_coco.py'

model = dict(
    backbone=dict(
        arch='base', drop_path_rate=0.3, init_cfg=dict(checkpoint=_base_.weights.swin_base_patch4_window7_224)
    ),
)
