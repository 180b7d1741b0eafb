"""Microscope images of at most 100 nuclei, 512 px, 8 a step; data/nuclei/ in COCO format."""

_base_ = './coco_instance_512.py'

data_root = 'data/nuclei/'
metainfo = dict(classes=('nucleus',))
train_data = dict(data_root=data_root, metainfo=metainfo, ann_file='annotations/instances_train2017_easy.json')
val_data = dict(data_root=data_root, metainfo=metainfo, ann_file='annotations/instances_val2017_easy.json')

train_dataloader = dict(dataset=train_data)
val_dataloader = dict(dataset=val_data)
test_dataloader = dict(dataset=val_data)
val_evaluator = dict(ann_file=data_root + val_data['ann_file'])
test_evaluator = dict(ann_file=data_root + val_data['ann_file'])
