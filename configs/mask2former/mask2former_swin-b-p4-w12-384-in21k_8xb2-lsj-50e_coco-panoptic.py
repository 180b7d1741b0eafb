"""Mask2Former, Swin-B, panoptic, 50 epochs, jitter of 1024 px; 8 GPUs x 2 images, 25.8 GB each in mmdet's run.

mmdet's recipe on our backbone. Published by mmdet: 56.3 PQ, 50.0 box / 46.3 mask AP on val2017. Not rerun here.
"""

_base_ = './mask2former_swin-b-p4-w12-384_8xb2-lsj-50e_coco-panoptic.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint=_base_.weights.swin_base_patch4_window12_384_22k)))
