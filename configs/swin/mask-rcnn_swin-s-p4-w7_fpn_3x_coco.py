"""Mask R-CNN, Swin-S, 3x, AMP; 8 GPUs x 2 images. 69M parameters, 359 GFLOPs at 1280x800.

Published by the Swin authors: 48.5 box / 43.3 mask AP on val2017. Not rerun here.
"""

_base_ = './mask-rcnn_swin-t-p4-w7_fpn_3x_coco.py'

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint=_base_.weights.swin_small_patch4_window7_224)))
