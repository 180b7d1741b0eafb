"""RepPoints V2, Swin-T, 3x, AMP; 8 GPUs x 2 images. 45M parameters, 283 GFLOPs at 1280x800.

Published by the Swin authors: 50.0 box AP on val2017. Not rerun here.
"""

_base_ = [
    '../_base_/models/reppoints-v2_swin-t_bifpn.py',
    '../_base_/datasets/coco_detection_480-960.py',
    '../_base_/schedules/schedule_3x.py',
    '../_base_/runtime_boxes.py',
]
