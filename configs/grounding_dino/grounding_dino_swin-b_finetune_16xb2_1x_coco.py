"""Grounding DINO, Swin-B, fine-tuned on COCO for 12 epochs; 16 GPUs x 2 images, checkpointing in the backbone.

mmdet's recipe and its whole pretrained detector (`load_from`) on our backbone; BERT is from transformers' hub.
Published by mmdet: 59.7 box AP on val2017. Not rerun here.
"""

_base_ = './grounding_dino_swin-t_finetune_16xb2_1x_coco.py'

load_from = (
    'https://download.openmmlab.com/mmdetection/v3.0/grounding_dino/groundingdino_swinb_cogcoor_mmdet-55949c9c.pth'
)
model = dict(backbone=dict(arch='base', window_size=12, drop_path_rate=0.3))
