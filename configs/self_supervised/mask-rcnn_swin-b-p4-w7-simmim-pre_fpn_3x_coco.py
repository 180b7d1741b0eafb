"""Mask R-CNN, Swin-B pretrained by SimMIM, 3x, AMP; 8 GPUs x 2 images. 107M parameters.

The weights are for windows of 6 (192 px); their authors fine-tuned with 7. Their Mask R-CNN has 52.3 box AP on val2017,
as quoted in arXiv 2311.06242, by a recipe that we do not know: this one is Swin's. Not rerun here.
"""

_base_ = '../swin/mask-rcnn_swin-t-p4-w7_fpn_3x_coco.py'

pretrained = 'https://huggingface.co/microsoft/swin-base-simmim-window6-192/resolve/main/pytorch_model.bin'

model = dict(backbone=dict(arch='base', drop_path_rate=0.3, init_cfg=dict(checkpoint=pretrained, resize='geometric')))
