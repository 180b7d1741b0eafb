"""RTMDet-l, Swin-B (ImageNet-22K), 640 px, 100 epochs, EMA; 4 GPUs x 32 images, checkpointing in the backbone.

mmdet's recipe on our backbone. Published by mmdet: 52.4 box AP on val2017. Not rerun here.
"""

_base_ = 'mmdet::rtmdet/rtmdet_l_swin_b_4xb32-100e_coco.py'
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='base',
        window_size=12,
        out_indices=(1, 2, 3),
        drop_path_rate=0.3,
        with_cp=True,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.checkpoint),
    ),
    bbox_head=dict(type='swin_mmdet.RTMDetSepBNHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
auto_scale_lr = dict(base_batch_size=128)  # 16 in mmdet's, which is not its batch
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')
