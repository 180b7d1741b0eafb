"""Boxes of the nuclei; masks are not read."""

_base_ = './nuclei_instance.py'

boxes = dict(type='swin_mmdet.LoadAnnotations', with_bbox=True)
train_pipeline = [boxes if 'LoadAnnotations' in step['type'] else step for step in _base_.train_pipeline]
test_pipeline = [boxes if 'LoadAnnotations' in step['type'] else step for step in _base_.test_pipeline]

train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
val_evaluator = dict(metric='bbox')
test_evaluator = dict(metric='bbox')
