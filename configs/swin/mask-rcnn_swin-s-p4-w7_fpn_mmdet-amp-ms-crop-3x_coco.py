"""Mask R-CNN, Swin-S, 3x, AMP, mmdet's recipe; 8 GPUs x 2 images. 69M parameters, 11.9 GB each as mmdet ran it.

The authors' recipe has half the warm-up.
Published by mmdet: 48.2 box / 43.2 mask AP on val2017. Not rerun here.
"""

_base_ = './mask-rcnn_swin-t-p4-w7_fpn_mmdet-amp-ms-crop-3x_coco.py'

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint=_base_.weights.swin_small_patch4_window7_224)))
