"""RTMDet-l P6, Swin-B (ImageNet-22K) with a fifth stage, 1280 px, 100 epochs, EMA; 4 GPUs x 16 images, checkpointing.

The fifth stage starts at random. mmdet's recipe on our backbone. Published by mmdet: 56.4 box AP. Not rerun here.
"""

_base_ = 'mmdet::rtmdet/rtmdet_l_swin_b_p6_4xb16-100e_coco.py'
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch=dict(embed_dims=128, depths=(2, 2, 18, 2, 1), num_heads=(4, 8, 16, 32, 64)),
        window_size=12,
        out_indices=(1, 2, 3, 4),
        drop_path_rate=0.3,
        with_cp=True,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.checkpoint, strict=False),
    ),
    bbox_head=dict(type='swin_mmdet.RTMDetSepBNHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
auto_scale_lr = dict(base_batch_size=64)  # 16 in mmdet's, which is not its batch
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')
