"""Mask R-CNN, Swin-T, 3x, float32, mmdet's recipe; 8 GPUs x 2 images. 48M parameters, 10.2 GB each as mmdet ran it.

The authors' recipe has half the warm-up and AMP.
Published by mmdet: 46.0 box / 41.6 mask AP on val2017. Not rerun here.
"""

_base_ = [
    '../_base_/models/mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_3x_mmdet.py',
    '../_base_/default_runtime.py',
]

optim_wrapper = dict(type='OptimWrapper')
