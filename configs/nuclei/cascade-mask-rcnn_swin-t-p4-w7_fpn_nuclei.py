"""Cascade Mask R-CNN, Swin-T, from scratch on images of at most 100 nuclei: 400 iterations of 8 images, 512 px, AMP.

Minutes on one GPU; the settings of the Mask R-CNN beside it.
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/nuclei_instance.py',
    '../_base_/schedules/schedule_iterations.py',
    '../_base_/runtime_iterations.py',
]

model = dict(
    backbone=dict(drop_path_rate=0.1, init_cfg=None),
    rpn_head=dict(anchor_generator=dict(scales=[4])),
    roi_head=dict(
        bbox_head=[dict(head, num_classes=1) for head in _base_.model.roi_head.bbox_head],
        mask_head=dict(num_classes=1),
    ),
    test_cfg=dict(rcnn=dict(max_per_img=150)),
)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
