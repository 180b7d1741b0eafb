"""ATSS, Swin-T, 3x, AMP; 8 GPUs x 2 images. 36M parameters, 215 GFLOPs at 1280x800.

Published by the Swin authors (paper, table 2a): 47.2 box AP on val2017. Not rerun here.
The authors released no config: the recipe is the one the paper gives for all four of its frameworks.
"""

_base_ = [
    '../_base_/models/atss_swin-t_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/runtime_boxes.py',
]
