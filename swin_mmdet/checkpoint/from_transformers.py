"""Hugging Face transformers, Swin and Swinv2, models and backbones: q, k and v apart, and other names.

Public code behaviour: files keep the names of transformers 4; from transformers 5 on a model in memory has shorter ones
(`q_proj`, `mlp.fc1`; in a backbone the output norms stand beside `swin.`), which a plain `torch.save` writes. V2 has no
bias for k.
"""

import torch

from swin_mmdet.checkpoint.layout import MASK_TOKEN, RECOMPUTED, Layout, StateDict
from swin_mmdet.checkpoint.position_embedding import AS_TOKENS

BLOCK, THEIR_BLOCK = 'stages.{i}.blocks.{j}.', 'encoder.layers.{i}.blocks.{j}.'
SELF = THEIR_BLOCK + 'attention.self.'
PARTS = ('query', 'key', 'value')


def join_qkv(state_dict: StateDict) -> StateDict:
    """attn.query, attn.key and attn.value -> attn.qkv, or, where k has no bias, q_bias and v_bias.

    An incomplete triple stays as it is, to be reported as unexpected while the joined weight is missing.
    """
    result = dict(state_dict)
    for key in state_dict:
        attn = key.removesuffix('query.weight')
        if attn == key:
            continue
        for name in ('weight', 'bias'):
            parts = [f'{attn}{part}.{name}' for part in PARTS]
            present = [part for part in parts if part in state_dict]
            shapes = {state_dict[part].shape for part in present}
            if len(present) == 3 and len(shapes) == 1:
                result[f'{attn}qkv.{name}'] = torch.cat([result.pop(part) for part in parts])
            elif name == 'bias' and present == [parts[0], parts[2]] and attn + 'logit_scale' in state_dict:
                result[attn + 'q_bias'], result[attn + 'v_bias'] = result.pop(parts[0]), result.pop(parts[2])
    return result


def split_qkv(state_dict: StateDict) -> StateDict:
    """The inverse of `join_qkv`."""
    result = {}
    for key, value in state_dict.items():
        attn, _, name = key.rpartition('qkv.')
        if attn:
            result |= {f'{attn}{part}.{name}': third for part, third in zip(PARTS, value.chunk(3), strict=True)}
        elif key.endswith('.q_bias'):
            result[key.removesuffix('q_bias') + 'query.bias'] = value
        elif key.endswith('.v_bias'):
            result[key.removesuffix('v_bias') + 'value.bias'] = value
        else:
            result[key] = value
    return result


TRANSFORMERS = Layout(
    name='transformers',
    anchor='embeddings.patch_embeddings.projection.weight',
    mark=r'^encoder\.layers\.\d+\.blocks\.\d+\.attention\.(self\.query|q_proj)\.weight$',
    renames=(
        ('patch_embed.proj.', 'embeddings.patch_embeddings.projection.'),
        ('patch_embed.norm.', 'embeddings.norm.'),
        ('absolute_pos_embed', 'embeddings.position_embeddings'),
        (BLOCK + 'norm1.', THEIR_BLOCK + 'layernorm_before.'),
        (BLOCK + 'norm2.', THEIR_BLOCK + 'layernorm_after.'),
        (BLOCK + 'attn.proj.', THEIR_BLOCK + 'attention.output.dense.'),
        (BLOCK + 'attn.cpb_mlp.', SELF + 'continuous_position_bias_mlp.'),
        (BLOCK + 'attn.', SELF),
        (BLOCK + 'mlp.fc1.', THEIR_BLOCK + 'intermediate.dense.'),
        (BLOCK + 'mlp.fc2.', THEIR_BLOCK + 'output.dense.'),
        # transformers 5 in memory
        (BLOCK + 'attn.query.', THEIR_BLOCK + 'attention.q_proj.'),
        (BLOCK + 'attn.key.', THEIR_BLOCK + 'attention.k_proj.'),
        (BLOCK + 'attn.value.', THEIR_BLOCK + 'attention.v_proj.'),
        (BLOCK + 'attn.proj.', THEIR_BLOCK + 'attention.o_proj.'),
        (
            BLOCK + 'attn.relative_position_bias_table',
            THEIR_BLOCK + 'attention.relative_position_bias.relative_position_bias_table',
        ),
        (BLOCK + 'mlp.', THEIR_BLOCK + 'mlp.'),
        ('stages.{i}.', 'encoder.layers.{i}.'),
        ('norm{i}.', 'hidden_states_norms.stage{i+1}.'),
        ('norm.', 'layernorm.'),
    ),
    values={r'^absolute_pos_embed$': AS_TOKENS},
    on_read=join_qkv,
    on_write=split_qkv,
    drops=(RECOMPUTED, MASK_TOKEN, (r'^swin\.layernorm\.', 'part of the classifier')),
    classifier='classifier.',
    beside='hidden_states_norms.',
)
