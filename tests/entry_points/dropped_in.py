# An existing config of mmdet's, with the one line that makes its parts ours.
_base_ = [
    'mmdet::_base_/models/mask-rcnn_r50_fpn.py',
    'mmdet::_base_/datasets/coco_instance.py',
    'mmdet::_base_/default_runtime.py',
]
custom_imports = dict(imports=['swin_mmdet.drop_in'])
classes = dict(num_classes=3)
model = dict(
    backbone=dict(
        _delete_=True, type='SwinTransformer', embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8), init_cfg=None
    ),
    neck=dict(in_channels=[16, 32, 64, 128], out_channels=32),
    rpn_head=dict(in_channels=32, feat_channels=32),
    roi_head=dict(
        bbox_roi_extractor=dict(out_channels=32),
        mask_roi_extractor=dict(out_channels=32),
        bbox_head=dict(in_channels=32, fc_out_channels=32, **classes),
        mask_head=dict(in_channels=32, conv_out_channels=32, num_convs=1, **classes),
    ),
)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='Resize', scale=(96, 96), keep_ratio=True),
    dict(type='PackDetInputs'),
]
data = dict(data_root='shapes/', metainfo=dict(classes=('circle', 'square', 'triangle')))
train_dataloader = dict(
    batch_size=1, num_workers=0, persistent_workers=False, dataset=dict(pipeline=pipeline, filter_cfg=None, **data)
)
val_dataloader = val_evaluator = val_cfg = test_dataloader = test_evaluator = test_cfg = None
train_cfg = dict(type='IterBasedTrainLoop', max_iters=1)
optim_wrapper = dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.001))
default_hooks = dict(checkpoint=None)
log_processor = dict(by_epoch=False)
# without a word mmengine gives each process a GPU
model_wrapper_cfg = dict(type='MMDistributedDataParallel', device_ids=None)
