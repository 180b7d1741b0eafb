"""ATSS with DyHead, Swin-L (ImageNet-22K), 2 x 12 epochs, 480 to 1200 px; 8 GPUs x 2 images, 58.4 GB each.

mmdet's recipe on our backbone. Published by mmdet: 56.2 box AP on val2017. Not rerun here.
"""

_base_ = ['mmdet::dyhead/atss_swin-l-p4-w12_fpn_dyhead_ms-2x_coco.py', '../_base_/weights.py']
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='large',
        window_size=12,
        out_indices=(1, 2, 3),
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swin_large_patch4_window12_384_22k),
    ),
    neck=[
        dict(
            type='FPN',
            in_channels='from_backbone',
            out_channels=256,
            start_level=0,
            add_extra_convs='on_output',
            num_outs=5,
        ),
        dict(type='swin_mmdet.DyHead', in_channels=256, out_channels=256, num_blocks=6, zero_init_offset=False),
    ],
    bbox_head=dict(type='swin_mmdet.ATSSHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric')
