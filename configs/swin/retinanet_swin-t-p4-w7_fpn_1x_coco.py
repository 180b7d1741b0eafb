"""RetinaNet, Swin-T, 1x, AMP; 8 GPUs x 2 images. 38M parameters.

mmdet's config trains it with SGD and without crops, and published no result; this is the authors' recipe of Mask R-CNN.
Published by nobody that we know. Not rerun here.
"""

_base_ = [
    '../_base_/models/retinanet_swin-t_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_1x.py',
    '../_base_/runtime_boxes.py',
]

model = dict(backbone=dict(drop_path_rate=0.1))
