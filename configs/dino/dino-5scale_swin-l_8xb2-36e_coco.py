"""DINO with 5 scales, Swin-L (ImageNet-22K), 36 epochs; 8 GPUs x 2 images, activation checkpointing in the backbone.

mmdet's recipe on our backbone. Published by mmdet: 58.4 box AP on val2017. Not rerun here.
"""

_base_ = './dino-5scale_swin-l_8xb2-12e_coco.py'

max_epochs = 36
train_cfg = dict(max_epochs=max_epochs)
param_scheduler = [
    dict(type='MultiStepLR', begin=0, end=max_epochs, by_epoch=True, milestones=[27, 33], gamma=0.1)
]
