"""COCO instances with any short side from 480 to 960, then a flip: Mask RepPoints V2 of the Swin authors."""

_base_ = './coco_instance.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomResize', scale=[(1333, 480), (1333, 960)], keep_ratio=True),
    dict(type='swin_mmdet.RandomFlip', prob=0.5),
    dict(type='swin_mmdet.PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
