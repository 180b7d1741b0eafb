"""Mask2Former, Swin-L, panoptic, 100 epochs, jitter of 1024 px; 16 GPUs x 1 image, 21.1 GB each in mmdet's run.

mmdet's recipe on our backbone. Published by mmdet: 57.6 PQ, 52.2 box / 48.5 mask AP on val2017. Not rerun here.
"""

_base_ = './mask2former_swin-b-p4-w12-384_8xb2-lsj-50e_coco-panoptic.py'

model = dict(
    backbone=dict(arch='large', init_cfg=dict(checkpoint=_base_.weights.swin_large_patch4_window12_384_22k)),
    panoptic_head=dict(num_queries=200),
)
train_dataloader = dict(batch_size=1, num_workers=1)
max_iters = 737500
param_scheduler = dict(end=max_iters, milestones=[655556, 710184])
# every 5000 iterations, and at the end
train_cfg = dict(max_iters=max_iters, val_interval=5000, dynamic_intervals=[(735001, max_iters)])
