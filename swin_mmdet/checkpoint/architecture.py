"""Read the architecture off a canonical state dict, for messages that people can act on."""

import re
from collections import defaultdict
from collections.abc import Mapping

from torch import Tensor

from swin_mmdet.ops.relative_position import window_size_of_table
from swin_mmdet.variants import VARIANTS

BLOCK = re.compile(r'^stages\.(\d+)\.blocks\.(\d+)\.')
TABLE = re.compile(r'^stages\.(\d+)\.blocks\.0\.attn\.relative_position_bias_table$')
SCALE = re.compile(r'^stages\.(\d+)\.blocks\.0\.attn\.logit_scale$')


def describe_architecture(state_dict: Mapping[str, Tensor]) -> str:
    """Such as 'embed_dims 128, depths 2-2-18-2, num_heads 4-8-16-32, window 7, in_channels 3 = base'."""
    embedding = state_dict.get('patch_embed.proj.weight')
    if embedding is None:
        return 'no patch embedding'
    depths: dict[int, int] = defaultdict(int)
    heads, windows = [], []
    for key, value in state_dict.items():
        if match := BLOCK.match(key):
            stage, block = map(int, match.groups())
            depths[stage] = max(depths[stage], block + 1)
        if TABLE.match(key):
            heads.append(value.shape[1])
            windows.append(window_size_of_table(value))
        if SCALE.match(key):
            heads.append(value.shape[0])
    dims = embedding.shape[0]
    sizes = tuple(depths[stage] for stage in sorted(depths))
    words = f'embed_dims {dims}, depths {_join(sizes)}, num_heads {_join(heads)}'
    # a V2 file does not say its window: its bias is a function of the offset, not a table
    words += f', window {_join(sorted(set(windows)))}' if windows else ', SwinV2'
    words += f', in_channels {embedding.shape[1]}'
    names = [name for name, variant in VARIANTS.items() if (variant.embed_dims, variant.depths) == (dims, sizes)]
    return f'{words} = {names[0]}' if names else words


def _join(numbers: list[int] | tuple[int, ...]) -> str:
    return '-'.join(map(str, numbers)) or 'none'
