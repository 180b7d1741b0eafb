"""The runtime of detectors without masks: the best checkpoint is the one with the best boxes."""

_base_ = './default_runtime.py'

default_hooks = dict(checkpoint=dict(save_best='coco/bbox_mAP'))
