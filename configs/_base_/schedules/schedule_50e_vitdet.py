"""50 epochs of 64 images, counted in iterations, as detectron2's ViTDet project trains Swin.

Its warm-up is 250 of 184375 iterations, 100 epochs: of 50 epochs it is 125. Biases decay, norms and position tables
do not.
"""

_base_ = './schedule_1x.py'

train_cfg = dict(_delete_=True, type='IterBasedTrainLoop', max_iters=92187, val_interval=9219)

param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=125),
    dict(type='MultiStepLR', begin=0, end=92187, by_epoch=False, milestones=[81944, 88773], gamma=0.1),
]

optim_wrapper = dict(optimizer=dict(lr=0.00004), paramwise_cfg=dict(norm_decay_mult=0.0))
auto_scale_lr = dict(base_batch_size=64)
