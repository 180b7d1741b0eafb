"""COCO boxes with short sides of 480 to 960 in steps of 32, then a flip: RepPoints V2 of the Swin authors."""

_base_ = './coco_detection.py'

train_scales = [(short, 1333) for short in range(480, 961, 32)]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='swin_mmdet.LoadAnnotations', with_bbox=True),
    dict(type='RandomChoiceResize', scales=train_scales, keep_ratio=True),
    dict(type='swin_mmdet.RandomFlip', prob=0.5),
    dict(type='swin_mmdet.PackDetInputs'),
]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
