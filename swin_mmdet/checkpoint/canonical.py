"""Our own files: the canonical layout itself."""

from swin_mmdet.checkpoint.layout import Layout

CANONICAL = Layout(
    name='swin_mmdet',
    anchor='patch_embed.proj.weight',
    mark=r'^stages\.\d+\.blocks\.\d+\.attn\.qkv\.weight$',
)
