"""HTC++, Swin-L (ImageNet-22K), 6x, AMP; 8 GPUs x 2 images. 284M parameters, 1470 GFLOPs at 1280x800.

Published by the Swin authors (arXiv 2103.14030, table 2c): 57.1 box / 49.5 mask AP on val2017, 58.0 / 50.4 in several
scales (`--tta` of `tools/test.py` tests in six with flips). Not rerun here.
"""

_base_ = './htc++_swin-b-p4-w7_fpn_6x_coco.py'

model = dict(backbone=dict(arch='large', init_cfg=dict(checkpoint=_base_.weights.swin_large_patch4_window7_224_22k)))
