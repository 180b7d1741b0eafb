"""The runtime of an iteration-based loop of detectors without masks."""

_base_ = './runtime_iterations.py'

default_hooks = dict(checkpoint=dict(save_best='coco/bbox_mAP'))
