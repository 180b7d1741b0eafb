"""RetinaNet as in mmdet with Swin-T as its backbone, of which it reads strides 8 to 32."""

_base_ = 'mmdet::_base_/models/retinanet_r50_fpn.py'

pretrained = 'https://github.com/SwinTransformer/storage/releases/download/v1.0.0/swin_tiny_patch4_window7_224.pth'

model = dict(
    backbone=dict(
        _delete_=True,
        type='swin_mmdet.SwinTransformer',
        arch='tiny',
        window_size=7,
        out_indices=(1, 2, 3),
        drop_path_rate=0.2,
        init_cfg=dict(type='Pretrained', checkpoint=pretrained),
    ),
    neck=dict(in_channels=[192, 384, 768], start_level=0),
    data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor'),
)
