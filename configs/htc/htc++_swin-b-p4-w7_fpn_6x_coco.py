"""HTC++, Swin-B (ImageNet-22K), 6x, AMP; 8 GPUs x 2 images. 160M parameters, 1043 GFLOPs at 1280x800.

Published by the Swin authors (arXiv 2103.14030, table 2c): 56.4 box / 49.1 mask AP on val2017. Not rerun here.
`--tta` of `tools/test.py` tests in six scales with flips.
"""

_base_ = [
    '../_base_/models/htc++_swin-b_fpn.py',
    '../_base_/datasets/coco_instance_htc++.py',
    '../_base_/schedules/schedule_6x.py',
    '../_base_/default_runtime.py',
    '../_base_/tta.py',
]
