"""Microscope images of at most 100 nuclei, for short runs at 512 px."""

_base_ = './coco_instance_512.py'

data_root = 'data/nuclei/'
metainfo = dict(classes=('nucleus',))
val_file = 'annotations/instances_val2017_easy.json'
train_dataloader = dict(
    dataset=dict(data_root=data_root, metainfo=metainfo, ann_file='annotations/instances_train2017_easy.json')
)
val_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, ann_file=val_file))
test_dataloader = dict(dataset=dict(data_root=data_root, metainfo=metainfo, ann_file=val_file))
val_evaluator = dict(ann_file=data_root + val_file)
test_evaluator = dict(ann_file=data_root + val_file)
