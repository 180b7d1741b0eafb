"""DINO with 4 scales, Swin-B (ImageNet-22K), 36 epochs, AMP; 8 GPUs x 2 images.

Nobody has published its result; the schedule is detrex's of Swin-L. Not run here.
"""

_base_ = './dino-4scale_swin-b_8xb2-12e_coco.py'

train_cfg = dict(max_epochs=36)
param_scheduler = [dict(type='MultiStepLR', begin=0, end=36, by_epoch=True, milestones=[30], gamma=0.1)]
