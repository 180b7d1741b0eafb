"""Mask2Former, Swin-T, panoptic, 50 epochs, jitter of 1024 px; 8 GPUs x 2 images, 15.9 GB each in mmdet's run.

mmdet's recipe on our backbone. Published by mmdet: 53.4 PQ, 46.3 box / 43.4 mask AP on val2017. Not rerun here.
"""

_base_ = ['mmdet::mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco-panoptic.py', '../_base_/weights.py']
custom_imports = dict(imports=['swin_mmdet.compat'], allow_failed_imports=False)

model = dict(
    type='swin_mmdet.Mask2Former',
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='tiny',
        window_size=7,
        drop_path_rate=0.3,
        init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swin_tiny_patch4_window7_224),
    ),
    panoptic_head=dict(
        type='swin_mmdet.Mask2FormerHead',
        in_channels='from_backbone',
        pixel_decoder=dict(type='swin_mmdet.MSDeformAttnPixelDecoder'),
    ),
    panoptic_fusion_head=dict(type='swin_mmdet.MaskFormerFusionHead'),
)
optim_wrapper = dict(constructor='swin_mmdet.OptimWrapperConstructor')
default_hooks = dict(runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'))
