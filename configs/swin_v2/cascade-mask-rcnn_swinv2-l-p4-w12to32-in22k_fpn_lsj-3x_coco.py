"""Cascade Mask R-CNN, SwinV2-L, windows from 12 (192 px, ImageNet-22K) to 32 (1024 px), 3x, jitter, AMP.

8 GPUs x 2 images; `model.backbone.with_cp=True` where memory is short. 254M parameters, 1741 GFLOPs at 1280x800.
After the authors' HTC++ (arXiv 2111.09883, A2.1), with batch 16 and rate 1e-4. Nobody published it. Not rerun here.
"""

_base_ = [
    '../_base_/models/cascade-mask-rcnn_swinv2-t_fpn.py',
    '../_base_/datasets/coco_instance_lsj.py',
    '../_base_/schedules/schedule_3x_swinv2_backbone-0.1.py',
    '../_base_/default_runtime.py',
]

model = dict(
    backbone=dict(
        arch='large',
        window_size=32,
        pretrained_window_size=(12, 12, 12, 6),
        init_cfg=dict(checkpoint=_base_.weights.swinv2_large_patch4_window12_192_22k),
    ),
    data_preprocessor=dict(batch_augments=[dict(type='BatchFixedSizePad', size=(1024, 1024), pad_mask=True)]),
)
