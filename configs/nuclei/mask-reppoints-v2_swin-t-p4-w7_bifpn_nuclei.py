"""Mask RepPoints V2, Swin-T, from scratch on images of at most 100 nuclei: 400 iterations of 8 images, 512 px, AMP.

Minutes on one GPU.
"""

_base_ = [
    '../_base_/models/mask-reppoints-v2_swin-t_bifpn.py',
    '../_base_/datasets/nuclei_instance.py',
    '../_base_/schedules/schedule_iterations.py',
    '../_base_/runtime_iterations.py',
]

model = dict(
    backbone=dict(drop_path_rate=0.1, init_cfg=None),
    bbox_head=dict(num_classes=1),
    test_cfg=dict(max_per_img=150),
)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
