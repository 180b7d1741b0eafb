"""Parts for the bases of detectors: Swin-T with its authors' ImageNet-1K weights, and what their images go through."""

swin_t = dict(
    type='swin_mmdet.SwinTransformer',
    arch='tiny',
    window_size=7,
    drop_path_rate=0.2,
    init_cfg=dict(
        type='Pretrained',
        checkpoint='https://github.com/SwinTransformer/storage/releases/download/v1.0.0/'
        'swin_tiny_patch4_window7_224.pth',
    ),
)
preprocessor = dict(
    type='swin_mmdet.DetDataPreprocessor',
    mean=[123.675, 116.28, 103.53],
    std=[58.395, 57.12, 57.375],
    bgr_to_rgb=True,
    pad_size_divisor=32,
)
