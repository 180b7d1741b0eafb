"""torchvision: stages and mergings are numbered in one sequence, `features`.

Public code behaviour of torchvision 0.29: `features.0` is the patch embedding, odd numbers are stages, even ones
mergings (official order); V2 keeps one qkv bias whose middle third, that of the keys, is set to zero in every step.
"""

import torch

from swin_mmdet.checkpoint.layout import Layout, StateDict

BLOCK, THEIR_BLOCK = 'stages.{i}.blocks.{j}.', 'features.{2i+1}.{j}.'


def split_bias_of_v2(state_dict: StateDict) -> StateDict:
    """qkv.bias [3C] beside a logit_scale -> q_bias [C], v_bias [C]."""
    result = {}
    for key, value in state_dict.items():
        attn = key.removesuffix('qkv.bias')
        if attn != key and attn + 'logit_scale' in state_dict:
            result[attn + 'q_bias'], _, result[attn + 'v_bias'] = value.chunk(3)
        else:
            result[key] = value
    return result


def join_bias_of_v2(state_dict: StateDict) -> StateDict:
    """The inverse of `split_bias_of_v2`."""
    result = {}
    for key, value in state_dict.items():
        attn = key.removesuffix('q_bias')
        if attn != key:
            result[attn + 'qkv.bias'] = torch.cat([value, torch.zeros_like(value), state_dict[attn + 'v_bias']])
        elif not key.endswith('v_bias'):
            result[key] = value
    return result


TORCHVISION = Layout(
    name='torchvision',
    anchor='features.0.0.weight',
    mark=r'^features\.\d+\.\d+\.attn\.qkv\.weight$',
    renames=(
        ('patch_embed.proj.', 'features.0.0.'),
        ('patch_embed.norm.', 'features.0.2.'),
        (BLOCK + 'mlp.fc1.', THEIR_BLOCK + 'mlp.0.'),
        (BLOCK + 'mlp.fc2.', THEIR_BLOCK + 'mlp.3.'),
        (BLOCK, THEIR_BLOCK),
        ('stages.{i}.downsample.', 'features.{2i+2}.'),
    ),
    on_read=split_bias_of_v2,
    on_write=join_bias_of_v2,
)
