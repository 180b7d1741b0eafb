"""Test-time augmentation for `tools/test.py --tta`: six scales, mirrored and not.

The authors do not say how they tested in several scales; these are the scales at which ViT-Adapter tests HTC++.
"""

meta_keys = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')

tta_model = dict(type='swin_mmdet.DetTTAModel')
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='TestTimeAug',
        transforms=[
            [dict(type='Resize', scale=(3000, short), keep_ratio=True) for short in range(600, 1601, 200)],
            [dict(type='swin_mmdet.RandomFlip', prob=prob) for prob in (0.0, 1.0)],
            [dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=True)],
            [dict(type='swin_mmdet.PackDetInputs', meta_keys=meta_keys)],
        ],
    ),
]
