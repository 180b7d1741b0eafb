"""HTC without the semantic branch, Swin-S, 1x, AMP; 8 GPUs x 2 images. Nobody published a result."""

_base_ = './htc-without-semantic_swin-t-p4-w7_fpn_1x_coco.py'

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint=_base_.weights.swin_small_patch4_window7_224)))
