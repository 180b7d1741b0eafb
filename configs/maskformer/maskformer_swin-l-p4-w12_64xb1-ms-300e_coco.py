"""MaskFormer, Swin-L (ImageNet-22K), panoptic, 300 epochs, 400 to 1024 px, crops; 64 GPUs x 1 image, 27.2 GB each.

mmdet's recipe on our backbone. Published by mmdet: 53.2 PQ on val2017. Not rerun here.
"""

_base_ = ['mmdet::maskformer/maskformer_swin-l-p4-w12_64xb1-ms-300e_coco.py', '../_base_/weights.py']
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='large',
        window_size=12,
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swin_large_patch4_window12_384_22k),
    ),
    panoptic_head=dict(type='swin_mmdet.MaskFormerHead'),
    panoptic_fusion_head=dict(type='swin_mmdet.MaskFormerFusionHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
