"""Microsoft's files, the official detection code, detectron2, MoBY and SimMIM: the layout that ours renames.

Public code behaviour: `layers.{i}` holds the blocks of stage i, and the merging at its end; `norm` and `head` belong to
a classifier, `norm{i}` to a detector. SimMIM for V2 calls the position MLP `rpe_mlp`.
"""

from swin_mmdet.checkpoint.layout import Layout
from swin_mmdet.checkpoint.position_embedding import EITHER

OFFICIAL = Layout(
    name='official',
    anchor='patch_embed.proj.weight',
    mark=r'^layers\.0\.downsample\.',
    renames=(
        ('stages.{i}.blocks.{j}.attn.cpb_mlp.', 'layers.{i}.blocks.{j}.attn.cpb_mlp.'),
        ('stages.{i}.blocks.{j}.attn.cpb_mlp.', 'layers.{i}.blocks.{j}.attn.rpe_mlp.'),
        ('stages.{i}.', 'layers.{i}.'),
    ),
    values={r'^absolute_pos_embed$': EITHER},
)
