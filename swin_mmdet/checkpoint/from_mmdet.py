"""mmdet 3.x's own Swin (and onedl's, which has the same keys): other names, and the merging in unfold order."""

import math

from torch import Tensor

from swin_mmdet.checkpoint.from_official import RECOMPUTED
from swin_mmdet.checkpoint.patch_merging_order import from_unfold_order
from swin_mmdet.checkpoint.rename import Translation


def _to_map(embedding: Tensor) -> Tensor:
    """An absolute position embedding of a square image from tokens to a map: [1, N, C] -> [1, C, H, W]."""
    side = math.isqrt(embedding.shape[1])
    return embedding.transpose(1, 2).unflatten(2, (side, side)).contiguous()


MMDET = Translation(
    drops=(RECOMPUTED,),
    renames=(
        (r'^patch_embed\.projection\.', 'patch_embed.proj.'),
        (r'\.attn\.w_msa\.', '.attn.'),
        (r'\.ffn\.layers\.0\.0\.', '.mlp.fc1.'),
        (r'\.ffn\.layers\.1\.', '.mlp.fc2.'),
    ),
    values={
        r'\.downsample\.(norm\.(weight|bias)|reduction\.weight)$': from_unfold_order,
        r'^absolute_pos_embed$': _to_map,
    },
)
