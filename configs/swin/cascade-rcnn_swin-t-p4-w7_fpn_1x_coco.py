"""Cascade R-CNN, Swin-T, 1x, AMP; 8 GPUs x 2 images. 78M parameters.

The authors' recipe of Cascade Mask R-CNN, without masks.
Published by nobody that we know. Not rerun here.
"""

_base_ = [
    '../_base_/models/cascade-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/runtime_boxes.py',
]

model = dict(backbone=dict(drop_path_rate=0.0))
