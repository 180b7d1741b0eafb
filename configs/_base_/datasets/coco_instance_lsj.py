"""COCO instances with large-scale jitter: flips, 0.1 to 2 times the size that fits into 1024 px, crops of 1024 px."""

_base_ = './coco_instance.py'

size = (1024, 1024)
train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='swin_mmdet.RandomFlip', prob=0.5),
    dict(type='RandomResize', scale=size, ratio_range=(0.1, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_type='absolute', crop_size=size, recompute_bbox=True, allow_negative_crop=True),
    # an image whose objects are all cropped away stays
    dict(type='FilterAnnotations', min_gt_bbox_wh=(1e-5, 1e-5), keep_empty=False),
    dict(type='swin_mmdet.PackDetInputs'),
]
test_pipeline = [dict(step, scale=size) if step['type'] == 'Resize' else step for step in _base_.test_pipeline]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
