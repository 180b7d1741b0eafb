"""Microsoft's classification files and the official detection backbone: the layout that ours renames.

Public code behaviour: `layers.{i}` holds the blocks, with the merging at the end of stage i; `norm` and `head` belong
to the classifier; `relative_position_index` and `attn_mask` are buffers that every model can compute.
"""

from swin_mmdet.checkpoint.rename import Translation

RECOMPUTED = (r'\.(relative_position_index|attn_mask|relative_coords_table)$', 'recomputed')
CLASSIFIER = (r'^(norm|head)\.', 'part of the classifier')

OFFICIAL = Translation(
    drops=(RECOMPUTED, CLASSIFIER),
    renames=((r'^layers\.(\d+)\.', r'stages.\1.'),),
)
