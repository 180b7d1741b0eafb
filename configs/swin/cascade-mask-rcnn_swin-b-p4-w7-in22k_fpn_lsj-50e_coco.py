"""Cascade Mask R-CNN, Swin-B of ImageNet-22K, ViTDet's recipe, 50 epochs, AMP; 8 GPUs x 8 images. 145M parameters.

Published by detectron2: 53.9 box / 46.2 mask AP on val2017; 64 GPUs x 1 image, 8.7 GB each. Not rerun here.
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_swin-b_fpn_vitdet.py',
    '../_base_/datasets/coco_instance_lsj_vitdet.py',
    '../_base_/schedules/schedule_50e_vitdet.py',
    '../_base_/runtime_iterations.py',
]

default_hooks = dict(logger=dict(interval=50), checkpoint=dict(interval=9219))
