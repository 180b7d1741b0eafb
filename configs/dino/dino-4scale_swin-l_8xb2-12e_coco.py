"""DINO with 4 scales, Swin-L (ImageNet-22K), 12 epochs, AMP; 8 GPUs x 2 images.

Published by detrex, in float32: 56.9 box AP on val2017. Not rerun here.
"""

_base_ = './dino-4scale_swin-t_8xb2-12e_coco.py'

model = dict(
    backbone=dict(
        arch='large',
        window_size=12,
        drop_path_rate=0.2,
        init_cfg=dict(checkpoint=_base_.weights.swin_large_patch4_window12_384_22kto1k),
    ),
)
