"""Mask R-CNN, Swin-T, from scratch, learns 16 COCO images by heart: proof that every part trains. Minutes on one GPU.

The images, by position in the annotation file, are the grayscale one, one without annotations, two with crowds, and
those that add the most classes with few and not tiny objects. Expect a mask AP of 0.6 or more on these images.
"""

_base_ = [
    '../_base_/models/mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_instance_16-images.py',
    '../_base_/schedules/schedule_iterations.py',
    '../_base_/runtime_iterations.py',
]

model = dict(backbone=dict(drop_path_rate=0.0, init_cfg=None))
train_cfg = dict(max_iters=1000, val_interval=250)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=200),
    dict(type='MultiStepLR', by_epoch=False, milestones=[850], gamma=0.1),
]
default_hooks = dict(checkpoint=dict(interval=250))
