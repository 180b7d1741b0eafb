"""A short run from scratch, counted in iterations, with the optimizer of the official recipes at twice their rate."""

_base_ = './schedule_1x.py'

train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=400, val_interval=100)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=200),
    dict(type='LinearLR', start_factor=1.0, end_factor=0.01, by_epoch=False, begin=300, end=400),
]

optim_wrapper = dict(optimizer=dict(lr=0.0002))
auto_scale_lr = dict(base_batch_size=8)
