"""72 epochs of the 1x recipe, learning rate divided by ten at 63 and 69."""

_base_ = './schedule_1x.py'

train_cfg = dict(max_epochs=72)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', begin=0, end=72, by_epoch=True, milestones=[63, 69], gamma=0.1),
]
