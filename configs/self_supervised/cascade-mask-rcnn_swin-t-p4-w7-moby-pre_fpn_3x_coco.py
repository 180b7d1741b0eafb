"""Cascade Mask R-CNN, Swin-T pretrained by MoBY, 3x, AMP; 8 GPUs x 2 images. 86M parameters, 745 GFLOPs at 1280x800.

Published by the Swin authors: 50.2 box / 43.5 mask AP on val2017, with the config of the
supervised weights; they note that the drop path rate needs tuning. Not rerun here.
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/default_runtime.py',
]

model = dict(backbone=dict(init_cfg=dict(checkpoint=_base_.weights.moby_swin_t_300ep_pretrained)))
