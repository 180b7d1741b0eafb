"""The same 16 images for training and evaluation, without augmentation."""

_base_ = './coco_instance_512.py'

data_root = 'data/coco_mini/'
chosen = dict(
    data_root=data_root,
    ann_file='annotations/instances_train2017.json',
    data_prefix=dict(img='train2017/'),
    indices=[8, 27, 36, 60, 66, 67, 80, 88, 92, 101, 106, 137, 159, 166, 172, 209],
)

pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(512, 512), keep_ratio=True),
    # `instances`: the evaluator takes the ground truth from the data set, since the file has other images too
    dict(
        type='swin_mmdet.PackDetInputs',
        meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'instances'),
    ),
]

train_dataloader = dict(
    dataset=dict(pipeline=pipeline, filter_cfg=dict(_delete_=True, filter_empty_gt=False), **chosen)
)
val_dataloader = dict(dataset=dict(pipeline=pipeline, **chosen))
test_dataloader = dict(dataset=dict(pipeline=pipeline, **chosen))
val_evaluator = dict(ann_file=None)
test_evaluator = dict(ann_file=None)
