"""Mask RepPoints V2, Swin-T, 3x, AMP; 8 GPUs x 2 images. 47M parameters, 292 GFLOPs at 1280x800.

Published by the Swin authors: 50.4 box / 43.8 mask AP on val2017. Not rerun here. Their GFLOPs, which ours equal, are
those of boxes and of the layer that controls masks; the mask branch has 16 more.
"""

_base_ = [
    '../_base_/models/mask-reppoints-v2_swin-t_bifpn.py',
    '../_base_/datasets/coco_instance_480-960.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py',
]
