"""Mask R-CNN, Swin-L pretrained by SimMIM, 3x, AMP; 8 GPUs x 2 images. 216M parameters.

The weights are for windows of 12, in the last stage 6 (192 px); 14 is what their authors fine-tuned with. Download them
by hand, MODELHUB.md of microsoft/Swin-Transformer links a drive. Nobody published this detector. Not rerun here.
"""

_base_ = '../swin/mask-rcnn_swin-t-p4-w7_fpn_3x_coco.py'

pretrained = 'checkpoints/simmim_pretrain__swin_large__img192_window12__800ep.pth'

model = dict(
    backbone=dict(
        arch='large', window_size=14, drop_path_rate=0.3, init_cfg=dict(checkpoint=pretrained, resize='geometric')
    ),
)
