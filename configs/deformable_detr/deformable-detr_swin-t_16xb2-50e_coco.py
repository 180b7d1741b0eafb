"""Deformable DETR, Swin-T, 50 epochs; 16 GPUs x 2 images.

mmdet's recipe of ResNet-50 on our backbone. Nobody has published its result. Not run here.
"""

_base_ = ['mmdet::deformable_detr/deformable-detr_r50_16xb2-50e_coco.py', '../_base_/weights.py']
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    type='swin_mmdet.DeformableDETR',
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='tiny',
        window_size=7,
        drop_path_rate=0.1,
        out_indices=(1, 2, 3),
        init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swin_tiny_patch4_window7_224),
    ),
    neck=dict(in_channels='from_backbone'),
    bbox_head=dict(type='swin_mmdet.DeformableDETRHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')
