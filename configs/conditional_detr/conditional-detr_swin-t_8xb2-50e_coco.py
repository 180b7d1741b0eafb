"""Conditional DETR, Swin-T, 50 epochs; 8 GPUs x 2 images.

mmdet's recipe of ResNet-50 on our backbone. Nobody has published its result. Not run here.
"""

_base_ = ['mmdet::conditional_detr/conditional-detr_r50_8xb2-50e_coco.py', '../_base_/weights.py']
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='tiny',
        window_size=7,
        drop_path_rate=0.1,
        out_indices=(3,),
        init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swin_tiny_patch4_window7_224),
    ),
    neck=dict(in_channels='from_backbone'),
    bbox_head=dict(type='swin_mmdet.ConditionalDETRHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')
