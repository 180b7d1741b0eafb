"""Mask2Former, Swin-B (ImageNet-1K), instances, 50 epochs, jitter of 1024 px; 8 GPUs x 2 images.

mmdet's recipe of instances with the backbone of its recipe of panoptic segmentation. Published by the authors of
Mask2Former for theirs: 46.7 mask AP on val2017. Not rerun here.
"""

_base_ = './mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco.py'

model = dict(
    backbone=dict(arch='base', window_size=12, init_cfg=dict(checkpoint=_base_.weights.swin_base_patch4_window12_384))
)
