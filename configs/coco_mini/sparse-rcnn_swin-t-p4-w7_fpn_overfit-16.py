"""Sparse R-CNN, Swin-T, from scratch, learns 16 COCO images by heart: proof that every part trains. Minutes on one GPU.

The images are those of Mask R-CNN's config. 100 proposals, which start as the whole image; 1500 iterations of 4
images, because the set prediction of this family is image by image.
"""

_base_ = [
    '../_base_/models/sparse-rcnn_swin-t_fpn.py',
    '../_base_/datasets/coco_instance_16-images.py',
    '../_base_/schedules/schedule_iterations.py',
    '../_base_/runtime_iterations_boxes.py',
]

model = dict(
    backbone=dict(drop_path_rate=0.0, init_cfg=None),
    rpn_head=dict(num_proposals=100),
    test_cfg=dict(rcnn=dict(max_per_img=100)),
)
train_dataloader = dict(batch_size=4)
train_cfg = dict(max_iters=1500, val_interval=500)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=200),
    dict(type='MultiStepLR', by_epoch=False, milestones=[1250], gamma=0.1),
]
val_evaluator = test_evaluator = dict(metric='bbox')
optim_wrapper = dict(clip_grad=dict(max_norm=1, norm_type=2))
default_hooks = dict(checkpoint=dict(interval=500))
