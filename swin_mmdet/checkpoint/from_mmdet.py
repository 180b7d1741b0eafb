"""mmdet 3.x and mmpretrain (and onedl's forks, which have the same keys): other names, and the merging in unfold order.

Public code behaviour: mmpretrain's V2 has the merging at the start of the next stage, with its norm after the
reduction, so that only the reduction knows the order of pixels.
"""

from swin_mmdet.checkpoint.layout import Layout
from swin_mmdet.checkpoint.patch_merging_order import from_unfold_order, to_unfold_order
from swin_mmdet.checkpoint.position_embedding import AS_TOKENS

UNFOLD = (from_unfold_order, to_unfold_order)
BLOCK = 'stages.{i}.blocks.{j}.'
NAMES = (
    ('patch_embed.proj.', 'patch_embed.projection.'),
    (BLOCK + 'attn.', BLOCK + 'attn.w_msa.'),
    (BLOCK + 'mlp.fc1.', BLOCK + 'ffn.layers.0.0.'),
    (BLOCK + 'mlp.fc2.', BLOCK + 'ffn.layers.1.'),
)

MMDET = Layout(
    name='mmdet',
    anchor='patch_embed.projection.weight',
    mark=r'^stages\.\d+\.blocks\.\d+\.attn\.w_msa\.relative_position_bias_table$',
    renames=NAMES,
    values={
        r'\.downsample\.(norm\.(weight|bias)|reduction\.weight)$': UNFOLD,
        r'^absolute_pos_embed$': AS_TOKENS,
    },
    classifier='head.fc.',
)
MMPRETRAIN_V2 = Layout(
    name='mmpretrain_v2',
    anchor='patch_embed.projection.weight',
    mark=r'^stages\.\d+\.blocks\.\d+\.attn\.w_msa\.logit_scale$',
    renames=(('stages.{i}.downsample.', 'stages.{i+1}.downsample.'), *NAMES),
    values={r'\.downsample\.reduction\.weight$': UNFOLD, r'^absolute_pos_embed$': AS_TOKENS},
    classifier='head.fc.',
)
