"""DDQ DETR with 4 scales, Swin-L (ImageNet-22K), 30 epochs; 8 GPUs x 2 images.

mmdet's recipe on our backbone; the detector is mmdet's, its head runs in float32. Published by mmdet: 58.7 box AP on
val2017. Not rerun here.
"""

_base_ = ['mmdet::ddq/ddq-detr-4scale_swinl_8xb2-30e_coco.py', '../_base_/weights.py']
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='large',
        window_size=12,
        drop_path_rate=0.2,
        out_indices=(1, 2, 3),
        init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swin_large_patch4_window12_384_22k),
    ),
    bbox_head=dict(type='swin_mmdet.DDQDETRHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')
