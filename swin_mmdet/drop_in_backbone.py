"""Importing this makes `SwinTransformer` in MMDetection's registry ours; `swin_mmdet.drop_in` does more."""

from collections.abc import Sequence

import swin_mmdet.compat  # noqa: F401  before mmdet, which cannot be imported on mmcv-lite without it

# isort: split
import mmdet.models  # noqa: F401  registers mmdet's class first: registering it after ours would be an error
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.logging import print_log

from swin_mmdet.models import SwinTransformer
from swin_mmdet.models.swin_backbone import PATCH_SIZE
from swin_mmdet.registry import take_the_place

# what mmdet's class can vary and no Swin in use does: keyword -> the values that mean Swin as published
FIXED = {
    'patch_size': (PATCH_SIZE, (PATCH_SIZE, PATCH_SIZE)),
    'strides': ((PATCH_SIZE, 2, 2, 2),),
    'qkv_bias': (True,),
    'qk_scale': (None,),
    'patch_norm': (True,),
    'act_cfg': ({'type': 'GELU'},),
    'norm_cfg': ({'type': 'LN'}, {'type': 'LN', 'requires_grad': True}),
}


class DropInSwinTransformer(SwinTransformer):
    """`SwinTransformer` behind the constructor of mmdet's class.

    `convert_weights` is accepted and not needed: the format of a file is recognised. `pretrained` is a checkpoint for
    `init_cfg`. Every other keyword has mmdet's meaning and default.

    Raises:
        ValueError: a value other than Swin's own of a keyword in `FIXED`, or whatever `SwinTransformer` refuses.
    """

    def __init__(
        self,
        pretrain_img_size: int | Sequence[int] = 224,
        in_channels: int = 3,
        embed_dims: int = 96,
        patch_size: int | Sequence[int] = PATCH_SIZE,
        window_size: int = 7,
        mlp_ratio: float = 4,
        depths: Sequence[int] = (2, 2, 6, 2),
        num_heads: Sequence[int] = (3, 6, 12, 24),
        strides: Sequence[int] = (PATCH_SIZE, 2, 2, 2),
        out_indices: Sequence[int] = (0, 1, 2, 3),
        qkv_bias: bool = True,
        qk_scale: float | None = None,
        patch_norm: bool = True,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        use_abs_pos_embed: bool = False,
        act_cfg: dict | None = None,
        norm_cfg: dict | None = None,
        with_cp: bool = False,
        pretrained: str | None = None,
        convert_weights: bool = False,
        frozen_stages: int = -1,
        init_cfg: dict | None = None,
    ) -> None:
        given = {
            'patch_size': patch_size,
            'strides': strides,
            'qkv_bias': qkv_bias,
            'qk_scale': qk_scale,
            'patch_norm': patch_norm,
            'act_cfg': act_cfg or {'type': 'GELU'},
            'norm_cfg': norm_cfg or {'type': 'LN'},
        }
        for name, value in given.items():
            value = tuple(value) if isinstance(value, list) else value
            if value not in FIXED[name]:
                raise ValueError(f'{name}={value!r} is not supported; only {FIXED[name][0]!r}, the published Swin')
        if pretrained is not None:
            if init_cfg is not None:
                raise ValueError(f'give pretrained={pretrained!r} or init_cfg={init_cfg!r}, not both')
            init_cfg = dict(type='Pretrained', checkpoint=pretrained)
        if convert_weights:
            print_log('convert_weights is not needed: checkpoint formats are recognised', 'current')
        super().__init__(
            embed_dims=embed_dims,
            depths=depths,
            num_heads=num_heads,
            window_size=window_size,
            mlp_ratio=mlp_ratio,
            drop_rate=drop_rate,
            attn_drop_rate=attn_drop_rate,
            drop_path_rate=drop_path_rate,
            out_indices=out_indices,
            frozen_stages=frozen_stages,
            with_cp=with_cp,
            use_abs_pos_embed=use_abs_pos_embed,
            pretrain_img_size=_one_side(pretrain_img_size),
            in_channels=in_channels,
            init_cfg=init_cfg,
        )


take_the_place(MMDET_MODELS, DropInSwinTransformer, 'SwinTransformer')


def _one_side(size: int | Sequence[int]) -> int:
    """A square image's side from mmdet's int, (side,) or (height, width)."""
    sides = {size} if isinstance(size, int) else set(size)
    if len(sides) != 1:
        raise ValueError(f'pretrain_img_size={size!r} must be square')
    return sides.pop()
