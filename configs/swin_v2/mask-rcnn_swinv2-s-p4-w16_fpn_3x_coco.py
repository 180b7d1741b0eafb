"""Mask R-CNN, SwinV2-S, windows of 16, 3x, AMP; 8 GPUs x 2 images. 69M parameters, 389 GFLOPs at 1280x800.

The weights' last stage had 8x8 tokens and so windows of 8. No result is published: the recipe is that of Swin-S.
Not rerun here.
"""

_base_ = './mask-rcnn_swinv2-s-p4-w8_fpn_3x_coco.py'

model = dict(
    backbone=dict(
        window_size=16,
        pretrained_window_size=(16, 16, 16, 8),
        init_cfg=dict(checkpoint=_base_.weights.swinv2_small_patch4_window16_256),
    )
)
