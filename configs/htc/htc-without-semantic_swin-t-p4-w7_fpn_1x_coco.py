"""HTC without the semantic branch, Swin-T, 1x, AMP; 8 GPUs x 2 images, or one with `--auto-scale-lr`.

The cheap one: mmdet's HTC and its 1x, with the authors' augmentation and optimizer. Nobody published a result.
"""

_base_ = [
    '../_base_/models/htc_swin-t_fpn.py',
    '../_base_/datasets/coco_instance.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/default_runtime.py',
]
