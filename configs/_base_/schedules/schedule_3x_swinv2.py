"""The 3x recipe, without decay of the position MLPs and temperatures as well, as the authors' code trains SwinV2."""

_base_ = './schedule_3x.py'

optim_wrapper = dict(
    paramwise_cfg=dict(custom_keys={'cpb_mlp': dict(decay_mult=0.0), 'logit_scale': dict(decay_mult=0.0)})
)
