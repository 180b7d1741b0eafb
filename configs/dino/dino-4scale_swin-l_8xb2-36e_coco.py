"""DINO with 4 scales, Swin-L (ImageNet-22K), 36 epochs, AMP; 8 GPUs x 2 images.

Published by detrex, in float32: 58.1 box AP on val2017. Not rerun here.
"""

_base_ = './dino-4scale_swin-l_8xb2-12e_coco.py'

train_cfg = dict(max_epochs=36)
param_scheduler = [dict(type='MultiStepLR', begin=0, end=36, by_epoch=True, milestones=[30], gamma=0.1)]
