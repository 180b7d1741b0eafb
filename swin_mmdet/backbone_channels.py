"""`in_channels='from_backbone'` in the config of a detector: the channels of the backbone's maps, by its arguments.

mmdet builds the parts of a detector one by one, so that each part that reads the maps has to be told their channels.
With the word in their place a config says them once: `backbone=dict(arch='base')` is enough, and so is `--cfg-options
model.backbone.arch=base`. The numbers are filled in when a detector is built (`compat/build_models.py`).
"""

from typing import Any

from swin_mmdet.errors import UserError
from swin_mmdet.variants import resolve_variant

WORD = 'from_backbone'
KEY = 'in_channels'
# ours, and mmdet's class of the same name
KNOWN = 'SwinTransformer', 'SwinTransformerV2'
MMDET_EMBED_DIMS = 96


def fill_in(model: Any) -> Any:
    """The config of a detector with lists of numbers in the place of the word; as it is where nothing says the word.

    Raises:
        UserError: the channels of its backbone are not known.
    """
    if not (isinstance(model, dict) and model.get('backbone') and _says(model)):
        return model
    return _filled(model, channels_of(model['backbone']))


def channels_of(backbone: dict) -> list[int]:
    """Of each map that a Swin returns.

    Raises:
        UserError: another backbone, or arguments that name none.
    """
    kind = backbone.get('type')
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', str(kind))
    if name.rpartition('.')[2] not in KNOWN:
        raise UserError(
            f'{KEY}={WORD!r} is known of the backbones swin_mmdet.{" and swin_mmdet.".join(KNOWN)}, not of {name}: '
            f'set {KEY} to the channels of its maps'
        )
    arch, embed_dims = backbone.get('arch'), backbone.get('embed_dims')
    if arch is not None:
        try:
            embed_dims = resolve_variant(arch, None, None, None).embed_dims
        except ValueError as error:
            raise UserError(f'backbone: {error}') from error
    stages = backbone.get('out_indices', (0, 1, 2, 3))
    return [(embed_dims or MMDET_EMBED_DIMS) * 2**stage for stage in stages]


def _says(node: Any) -> bool:
    if isinstance(node, dict):
        return node.get(KEY) == WORD or any(map(_says, node.values()))
    return isinstance(node, list | tuple) and any(map(_says, node))


def _filled(node: Any, channels: list[int]) -> Any:
    if isinstance(node, dict):
        filled = {key: _filled(child, channels) for key, child in node.items()}
        if node.get(KEY) == WORD:
            filled[KEY] = list(channels)
        return type(node)(filled)
    if isinstance(node, list | tuple):
        return type(node)(_filled(child, channels) for child in node)
    return node
