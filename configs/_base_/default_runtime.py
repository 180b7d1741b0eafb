"""mmdet's runtime, also for mmdet's own tools, with guards: best checkpoint kept, class counts and losses checked."""

_base_ = 'mmdet::_base_/default_runtime.py'

custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

default_hooks = dict(
    runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'),
    checkpoint=dict(save_best='coco/segm_mAP', rule='greater', max_keep_ckpts=3),
)
visualizer = dict(type='swin_mmdet.DetLocalVisualizer')
custom_hooks = [dict(type='NumClassCheckHook'), dict(type='CheckInvalidLossHook', interval=50)]
