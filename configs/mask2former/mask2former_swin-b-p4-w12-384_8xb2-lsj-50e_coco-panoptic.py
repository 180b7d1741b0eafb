"""Mask2Former, Swin-B, panoptic, 50 epochs, jitter of 1024 px; 8 GPUs x 2 images, 26.0 GB each in mmdet's run.

mmdet's recipe on our backbone. Published by mmdet: 55.1 PQ, 48.2 box / 44.9 mask AP on val2017. Not rerun here.
"""

_base_ = './mask2former_swin-s-p4-w7-224_8xb2-lsj-50e_coco-panoptic.py'

model = dict(
    backbone=dict(arch='base', window_size=12, init_cfg=dict(checkpoint=_base_.weights.swin_base_patch4_window12_384))
)
