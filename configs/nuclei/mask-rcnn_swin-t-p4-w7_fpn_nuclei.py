"""Mask R-CNN, Swin-T, from scratch on images of at most 100 nuclei: 400 iterations of 8 images, 512 px, AMP.

Microscope images; minutes on one GPU. Nuclei are small, so are the anchors: half the usual size. Gradients from
scratch are tens of times larger at the start than later: without clipping, seeds end lower and further apart.
"""

_base_ = [
    '../_base_/models/mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/nuclei_instance.py',
    '../_base_/schedules/schedule_iterations.py',
    '../_base_/runtime_iterations.py',
]

model = dict(
    backbone=dict(drop_path_rate=0.1, init_cfg=None),
    rpn_head=dict(anchor_generator=dict(scales=[4])),
    roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)),
    test_cfg=dict(rcnn=dict(max_per_img=150)),
)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
