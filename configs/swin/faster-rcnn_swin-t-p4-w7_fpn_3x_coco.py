"""Faster R-CNN, Swin-T, 3x, AMP; 8 GPUs x 2 images. 45M parameters.

The authors' recipe of Mask R-CNN, without masks.
PaddleDetection published 45.3 box AP on val2017 with its own recipe. Not rerun here.
"""

_base_ = [
    '../_base_/models/faster-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/runtime_boxes.py',
]
