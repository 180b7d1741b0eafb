"""Cascade Mask R-CNN, SwinV2-T, weights of windows of 8 in windows of 32, 3x, AMP; 8 GPUs x 2 images.

86M parameters, 832 GFLOPs at 1280x800. Published by the Swin authors (arXiv 2111.09883, table 1): 51.8 box AP
on val2017; they name multi-scale resizing from 480 to 800 px, no crops and no drop path rate. Not rerun here.
"""

_base_ = './cascade-mask-rcnn_swinv2-t-p4-w8_fpn_3x_coco.py'

model = dict(backbone=dict(window_size=32, pretrained_window_size=8))
