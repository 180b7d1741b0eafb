"""COCO instances as for HTC++: InstaBoost, short side 400 to 1400, long at most 1600 (arXiv 2103.14030, appendix A2.2).

Needs `pip install instaboostfast`, whose settings are those of mmdet's InstaBoost configs, and the COCO-stuff maps. In
them, objects that InstaBoost moves stay where they were. The paper does not say at which scale it tests; ViT-Adapter
tests HTC++ at this one.
"""

_base_ = './coco_instance.py'

train_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(
        type='swin_mmdet.InstaBoost',
        action_candidate=('normal', 'horizontal', 'skip'),
        action_prob=(1, 0, 0),
        scale=(0.8, 1.2),
        dx=15,
        dy=15,
        theta=(-1, 1),
        color_prob=0.5,
        hflag=False,
        aug_ratio=0.5,
    ),
    # no map is loaded where `data_prefix` has no `seg`
    dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=True, with_seg=True),
    dict(type='swin_mmdet.RandomFlip', prob=0.5),
    dict(type='RandomResize', scale=[(1600, 400), (1600, 1400)], keep_ratio=True),
    dict(type='swin_mmdet.PackDetInputs'),
]

test_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(1600, 1400), keep_ratio=True),
    dict(type='swin_mmdet.LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='swin_mmdet.PackDetInputs', meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]

train_dataloader = dict(
    dataset=dict(
        pipeline=train_pipeline,
        data_prefix=dict(img='train2017/', seg='stuffthingmaps/train2017/'),
    )
)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = dict(dataset=dict(pipeline=test_pipeline))
