"""Mask R-CNN, SwinV2-T, from scratch on microscope images of at most 100 nuclei: 400 iterations of 8 images of 512 px.

Minutes on one GPU. A new block of SwinV2 is the identity: the weights of its two norms start at 0 and move by about the
learning rate in each step of AdamW. Within so few steps they need ten times the rate of the rest to count at all.
"""

_base_ = './mask-rcnn_swin-t-p4-w7_fpn_nuclei.py'

model = dict(backbone=dict(_delete_=True, type='swin_mmdet.SwinTransformerV2', window_size=8, drop_path_rate=0.1))
norms_of_blocks = dict(lr_mult=10.0, decay_mult=0.0)
optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            '_delete_': True,
            'norm': dict(decay_mult=0.0),
            **{f'blocks.{block}.norm': norms_of_blocks for block in range(6)},
            'cpb_mlp': dict(decay_mult=0.0),
            'logit_scale': dict(decay_mult=0.0),
        }
    )
)
