"""Mask R-CNN, SwinV2-L pretrained by SimMIM, 3x, AMP; 8 GPUs x 2 images. 216M parameters.

The weights (arXiv 2206.04664: ImageNet-1K, 500k iterations) are for windows of 12, in the last stage 6 (192 px). Nobody
published this detector in numbers that we know. Not rerun here.
"""

_base_ = '../swin_v2/mask-rcnn_swinv2-b-p4-w16_fpn_3x_coco.py'

pretrained = 'https://huggingface.co/zdaxie/SimMIM/resolve/main/simmim_swinv2_pretrain_models/swinv2_large_1k_500k.pth'

model = dict(backbone=dict(arch='large', pretrained_window_size=(12, 12, 12, 6), init_cfg=dict(checkpoint=pretrained)))
