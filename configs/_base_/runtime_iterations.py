"""The runtime of an iteration-based loop: checkpoints and log lines are counted in iterations."""

_base_ = './default_runtime.py'

default_hooks = dict(logger=dict(interval=20, log_metric_by_epoch=False), checkpoint=dict(by_epoch=False, interval=100))
log_processor = dict(by_epoch=False, window_size=20)
