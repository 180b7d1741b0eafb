"""DINO with 5 scales, Swin-L (ImageNet-22K), 12 epochs; 8 GPUs x 2 images, activation checkpointing in the backbone.

mmdet's recipe on our backbone. Published by mmdet: 57.2 box AP on val2017. Not rerun here.
"""

_base_ = ['mmdet::dino/dino-5scale_swin-l_8xb2-12e_coco.py', '../_base_/weights.py']
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    type='swin_mmdet.DINO',
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='large',
        window_size=12,
        drop_path_rate=0.2,
        with_cp=True,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swin_large_patch4_window12_384_22k),
    ),
    bbox_head=dict(type='swin_mmdet.DINOHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')
