"""RepPoints V2 with masks by conditional convolutions, as the Swin authors released it."""

_base_ = './reppoints-v2_swin-t_bifpn.py'

model = dict(
    data_preprocessor=dict(pad_mask=True),
    bbox_head=dict(
        type='swin_mmdet.MaskRepPointsV2Head',
        mask_head=dict(
            type='swin_mmdet.CondConvMaskHead',
            in_channels=256,
            num_levels=3,
            channels=128,
            num_convs=4,
            out_channels=8,
            stride=8,
            sizes_of_interest=[64, 128, 256, 512, 1024],
            norm_cfg=dict(type='BN', requires_grad=True),
        ),
        mask_loss_weight=[0.0, 0.6, 1.0],
        max_proposals=500,
        loss_mask=dict(type='DiceLoss', eps=5e-6),
    ),
    test_cfg=dict(mask_thr=0.5),
)
