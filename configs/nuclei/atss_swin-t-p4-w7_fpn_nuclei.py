"""ATSS, Swin-T, from scratch on microscope images of at most 100 nuclei: 400 iterations of 8 images, 512 px, AMP.

Minutes on one GPU. Anchors are half the usual size, as in the config of Mask R-CNN.
"""

_base_ = [
    '../_base_/models/atss_swin-t_fpn.py',
    '../_base_/datasets/nuclei_detection.py',
    '../_base_/schedules/schedule_iterations.py',
    '../_base_/runtime_iterations_boxes.py',
]

model = dict(
    backbone=dict(drop_path_rate=0.1, init_cfg=None),
    bbox_head=dict(num_classes=1, anchor_generator=dict(octave_base_scale=4)),
    test_cfg=dict(max_per_img=150),
)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
