"""COCO instances with the paper's augmentation: flip, then multi-scale resize or resize-crop-resize."""

_base_ = 'mmdet::_base_/datasets/coco_instance.py'

train_scales = [(short, 1333) for short in range(480, 801, 32)]

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomFlip', prob=0.5),
    dict(
        type='RandomChoice',
        transforms=[
            [dict(type='RandomChoiceResize', scales=train_scales, keep_ratio=True)],
            [
                dict(type='RandomChoiceResize', scales=[(400, 1333), (500, 1333), (600, 1333)], keep_ratio=True),
                dict(
                    type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600), allow_negative_crop=True
                ),
                dict(type='RandomChoiceResize', scales=train_scales, keep_ratio=True),
            ],
        ],
    ),
    dict(type='PackDetInputs'),
]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))

val_evaluator = dict(type='swin_mmdet.CocoMetric')
test_evaluator = dict(type='swin_mmdet.CocoMetric')
