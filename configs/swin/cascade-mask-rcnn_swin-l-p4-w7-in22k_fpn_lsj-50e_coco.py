"""Cascade Mask R-CNN, Swin-L of ImageNet-22K, ViTDet's recipe, 50 epochs, AMP; 8 GPUs x 8 images. 253M parameters.

Published by detectron2: 55.0 box / 47.2 mask AP on val2017; 64 GPUs x 1 image, 12.6 GB each. Not rerun here.
"""

_base_ = './cascade-mask-rcnn_swin-b-p4-w7-in22k_fpn_lsj-50e_coco.py'

model = dict(backbone=dict(arch='large', init_cfg=dict(checkpoint=_base_.weights.swin_large_patch4_window7_224_22k)))
