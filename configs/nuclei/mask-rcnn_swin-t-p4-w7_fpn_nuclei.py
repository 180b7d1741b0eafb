"""Mask R-CNN, Swin-T, from scratch on microscope images of at most 100 nuclei: 400 iterations of 8 images, 512 px, AMP.

Minutes on one GPU. Nuclei are small, so are the anchors: half the usual size. Gradients from scratch are tens of times
larger at the start than later: without clipping, seeds end lower and further apart.
"""

_base_ = [
    '../_base_/models/mask-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_instance_512.py',
    '../_base_/schedules/schedule_iterations.py',
    '../_base_/runtime_iterations.py',
]
data_root = 'data/nuclei/'
train_data = dict(data_root=data_root, ann_file='annotations/instances_train2017_easy.json')
val_data = dict(data_root=data_root, ann_file='annotations/instances_val2017_easy.json')
metainfo = dict(classes=('nucleus',))

model = dict(
    backbone=dict(drop_path_rate=0.1, init_cfg=None),
    rpn_head=dict(anchor_generator=dict(scales=[4])),
    roi_head=dict(bbox_head=dict(num_classes=1), mask_head=dict(num_classes=1)),
    test_cfg=dict(rcnn=dict(max_per_img=150)),
)
train_dataloader = dict(dataset=dict(metainfo=metainfo, **train_data))
val_dataloader = dict(dataset=dict(metainfo=metainfo, **val_data))
test_dataloader = val_dataloader
val_evaluator = dict(ann_file=data_root + val_data['ann_file'])
test_evaluator = val_evaluator
optim_wrapper = dict(clip_grad=dict(max_norm=1.0))
