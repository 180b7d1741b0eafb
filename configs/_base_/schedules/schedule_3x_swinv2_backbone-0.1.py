"""The 3x recipe of SwinV2 with a tenth of the learning rate in the backbone.

Of the keys that are part of a parameter's name the longest decides alone: what has no decay is named once more.
"""

_base_ = './schedule_3x_swinv2.py'

slow = dict(lr_mult=0.1)
slow_without_decay = dict(lr_mult=0.1, decay_mult=0.0)

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            'backbone': slow,
            'backbone.norm': slow_without_decay,
            'patch_embed.norm': slow_without_decay,
            'downsample.norm': slow_without_decay,
            **{f'.{norm}.{part}': slow_without_decay for norm in ('norm1', 'norm2') for part in ('weight', 'bias')},
            'attn.cpb_mlp': slow_without_decay,
            'attn.logit_scale': slow_without_decay,
        }
    )
)
