"""Mask2Former, Swin-B (ImageNet-22K), instances, 50 epochs, jitter of 1024 px; 8 GPUs x 2 images.

As with the weights of ImageNet-1K. Published by the authors of Mask2Former for their recipe: 48.1 mask AP on val2017.
Not rerun here.
"""

_base_ = './mask2former_swin-b-p4-w12-384_8xb2-lsj-50e_coco.py'

model = dict(backbone=dict(init_cfg=dict(checkpoint=_base_.weights.swin_base_patch4_window12_384_22k)))
