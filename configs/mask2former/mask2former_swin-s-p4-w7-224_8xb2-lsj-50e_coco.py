"""Mask2Former, Swin-S, instances, 50 epochs, jitter of 1024 px; 8 GPUs x 2 images, 18.8 GB each in mmdet's run.

mmdet's recipe on our backbone. Published by mmdet: 49.3 box / 46.1 mask AP on val2017. Not rerun here.
"""

_base_ = './mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py'

model = dict(backbone=dict(arch='small', init_cfg=dict(checkpoint=_base_.weights.swin_small_patch4_window7_224)))
# norms of the blocks that Swin-T has not: no decay, a tenth of the learning rate
custom_keys = {f'backbone.stages.2.blocks.{block}.norm': dict(lr_mult=0.1, decay_mult=0.0) for block in range(6, 18)}
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=custom_keys))
