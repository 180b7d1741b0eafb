"""COCO instances as in mmdet's 1x recipes: one size, flips, no crops."""

_base_ = './coco_instance.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(1333, 800), keep_ratio=True),
    dict(type='swin_mmdet.RandomFlip', prob=0.5),
    dict(type='swin_mmdet.PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
