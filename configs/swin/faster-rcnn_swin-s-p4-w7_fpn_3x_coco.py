"""Faster R-CNN, Swin-S, 3x, AMP; 8 GPUs x 2 images. 66M parameters.

The authors' recipe of Mask R-CNN, without masks.
Published by nobody that we know. Not rerun here.
"""

_base_ = './faster-rcnn_swin-t-p4-w7_fpn_3x_coco.py'

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint=_base_.weights.swin_small_patch4_window7_224)))
