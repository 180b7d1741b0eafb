"""Parts for the bases of detectors: Swin-T with its authors' ImageNet-1K weights, and what their images go through."""

_base_ = '../weights.py'

swin_t = dict(
    type='swin_mmdet.SwinTransformer',
    arch='tiny',
    window_size=7,
    drop_path_rate=0.2,
    init_cfg=dict(type='Pretrained', checkpoint=_base_.weights.swin_tiny_patch4_window7_224),
)
preprocessor = dict(
    type='swin_mmdet.DetDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_size_divisor=32,
)
