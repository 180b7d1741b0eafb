"""Mask R-CNN, Swin-T pretrained by MoBY, 1x, AMP; 8 GPUs x 2 images. 48M parameters, 267 GFLOPs at 1280x800.

Published by the Swin authors: 43.6 box / 39.6 mask AP on val2017, with the config of the
supervised weights; they note that the drop path rate needs tuning. Not rerun here.
"""

_base_ = '../swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint=_base_.weights.moby_swin_t_300ep_pretrained)))
