"""The 3x recipe with SwinV2's position MLPs and temperatures, which do not decay, as in the authors' classification."""

_base_ = './schedule_3x.py'

optim_wrapper = dict(
    paramwise_cfg=dict(
        custom_keys={
            '_delete_': True,
            'absolute_pos_embed': dict(decay_mult=0.0),
            'cpb_mlp': dict(decay_mult=0.0),
            'logit_scale': dict(decay_mult=0.0),
            'norm': dict(decay_mult=0.0),
        }
    )
)
