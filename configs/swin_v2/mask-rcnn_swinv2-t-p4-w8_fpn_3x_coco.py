"""Mask R-CNN, SwinV2-T, windows of 8, 3x, AMP; 8 GPUs x 2 images. 48M parameters, 267 GFLOPs at 1280x800.

No result is published: the recipe is that of Swin-T. Not rerun here.
"""

_base_ = [
    '../_base_/models/mask-rcnn_swinv2-t_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_3x_swinv2.py',
    '../_base_/default_runtime.py',
]
