"""Sparse R-CNN, 300 proposals, Swin-T, 3x, AMP; 8 GPUs x 2 images. 110M parameters, 172 GFLOPs at 1280x800.

Published by the Swin authors (paper, table 2a): 47.9 box AP on val2017. Not rerun here.
The authors released no config: the recipe is the one the paper gives for all four of its frameworks, and gradients are
clipped as in Sparse R-CNN's.
"""

_base_ = [
    '../_base_/models/sparse-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/runtime_boxes.py',
]

optim_wrapper = dict(clip_grad=dict(max_norm=1, norm_type=2))
