"""Mask R-CNN, Swin-T, 3x, AMP; 8 GPUs x 2 images. 48M parameters, 267 GFLOPs at 1280x800.

Published by the Swin authors: 46.0 box / 41.6 mask AP on val2017. Not rerun here.
"""

_base_ = [
    '../_base_/models/mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py',
]
