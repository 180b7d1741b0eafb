"""HTC++ without the semantic branch, Swin-T, from scratch on nuclei: 400 iterations of 8 images, 512 px, AMP.

Minutes on one GPU; the settings of the Mask R-CNN beside it. InstaBoost is left out.
"""

_base_ = [
    '../_base_/models/htc++_swin-b_fpn.py',
    '../_base_/datasets/nuclei_instance.py',
    '../_base_/schedules/schedule_iterations.py',
    '../_base_/runtime_iterations.py',
]

model = dict(
    backbone=dict(arch='tiny', drop_path_rate=0.1, init_cfg=None),
    neck=[
        dict(_base_.model.neck[0], in_channels=768, num_heads=24, drop_path_rate=0.1),
        dict(_base_.model.neck[1], in_channels=[96, 192, 384, 768]),
    ],
    rpn_head=dict(anchor_generator=dict(scales=[4])),
    roi_head=dict(
        semantic_roi_extractor=None,
        semantic_head=None,
        bbox_head=[dict(head, num_classes=1) for head in _base_.model.roi_head.bbox_head],
        mask_head=[dict(head, num_classes=1) for head in _base_.model.roi_head.mask_head],
    ),
    test_cfg=dict(rcnn=dict(max_per_img=150)),
)
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
