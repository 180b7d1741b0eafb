"""DINO with 4 scales, Swin-T, 12 epochs, AMP; 8 GPUs x 2 images. 48M parameters.

Published by detrex, in float32: 51.3 box AP on val2017. Not rerun here.
mmdet's recipe of ResNet-50 with what detrex sets otherwise: the encoding of positions, and images without objects
left out. Norms decay as in mmdet.
"""

_base_ = ['mmdet::dino/dino-4scale_r50_8xb2-12e_coco.py', '../_base_/weights.py']
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    type='swin_mmdet.DINO',
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
    positional_encoding=dict(offset=-0.5, temperature=10000),
    bbox_head=dict(type='swin_mmdet.DINOHead'),
)
train_dataloader = dict(dataset=dict(filter_cfg=dict(filter_empty_gt=True)))
optim_wrapper = dict(type='AmpOptimWrapper', constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')
