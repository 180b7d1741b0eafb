"""timm: official names, but the merging stands at the start of the next stage.

Public code behaviour of timm 1.0: `layers.{i+1}.downsample` merges the output of stage i; `features_only` models write
`layers_{i}`; the classifier is `head.fc`. Older files have the merging at the official place: they are official ones.
"""

from swin_mmdet.checkpoint.layout import Layout

TIMM = Layout(
    name='timm',
    anchor='patch_embed.proj.weight',
    mark=r'^layers\.\d+\.downsample\.',
    unless=r'^layers\.0\.downsample\.',
    renames=(('stages.{i}.downsample.', 'layers.{i+1}.downsample.'), ('stages.{i}.', 'layers.{i}.')),
    classifier='head.fc.',
)
TIMM_FEATURES = Layout(
    name='timm_features',
    anchor='patch_embed.proj.weight',
    mark=r'^layers_\d+\.blocks\.\d+\.attn\.qkv\.weight$',
    renames=(('stages.{i}.downsample.', 'layers_{i+1}.downsample.'), ('stages.{i}.', 'layers_{i}.')),
    classifier='head.fc.',
)
