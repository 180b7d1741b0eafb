"""Cascade Mask R-CNN, Swin-T, 3x, AMP; 8 GPUs x 2 images. 86M parameters, 745 GFLOPs at 1280x800.

Published by the Swin authors: 50.4 box / 43.7 mask AP on val2017. Not rerun here.
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py',
]
