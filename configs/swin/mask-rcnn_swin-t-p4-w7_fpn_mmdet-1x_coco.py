"""Mask R-CNN, Swin-T, 1x, float32, mmdet's recipe; 8 GPUs x 2 images. 48M parameters, 7.6 GB each as mmdet ran it.

The authors' recipe has crops, half the warm-up, half the drop path and AMP.
Published by mmdet: 42.7 box / 39.3 mask AP on val2017. Not rerun here.
"""

_base_ = [
    '../_base_/models/mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_instance_no-crop.py',
    '../_base_/schedules/schedule_1x_mmdet.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(type='OptimWrapper')
