"""Deformable DETR, refined in two stages, Swin-T, 50 epochs; 16 GPUs x 2 images.

mmdet's recipe of ResNet-50 on our backbone. Nobody has published its result. Not run here.
"""

_base_ = './deformable-detr_swin-t_16xb2-50e_coco.py'

model = dict(with_box_refine=True, as_two_stage=True)
# without mmdet's key of `reference_points`, which are no parameters in two stages
custom_keys = dict(_delete_=True, backbone=dict(lr_mult=0.1), sampling_offsets=dict(lr_mult=0.1))
optim_wrapper = dict(paramwise_cfg=dict(custom_keys=custom_keys))
