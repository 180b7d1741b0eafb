"""The weights that a model starts from: there, or fetched, and of the right kind, before anything slow."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from mmengine.config import Config

from swin_mmdet.config.files import existing_weights
from swin_mmdet.config.nodes import PRETRAINED, keyed_nodes, kind_name, type_name
from swin_mmdet.config.registries import find
from swin_mmdet.errors import UserError, naming_checkpoint


@dataclass(frozen=True)
class Pretrained:
    """A file that a part of the model is initialised from.

    key: of the setting, such as 'model.backbone.init_cfg.checkpoint'.
    version: of the Swin that loads it, 1 or 2; None for any other part.
    is_ours: our reader fetches and reads it, not mmengine's.
    prefix: what the weights' keys start with, if the config says so.
    """

    key: str
    source: str
    version: int | None
    is_ours: bool
    prefix: str | None


def pretrained(cfg: Config) -> Iterator[Pretrained]:
    """Every file of an `init_cfg` in the model, however deep and however many."""
    scope = cfg.get('default_scope') or 'mmdet'
    for key, node in keyed_nodes(cfg.get('model'), 'model'):
        init_cfg = node.get('init_cfg')
        several = isinstance(init_cfg, list | tuple)
        listed = list(init_cfg) if isinstance(init_cfg, list | tuple) else [init_cfg]
        for index, one in enumerate(listed):
            if isinstance(one, dict) and type_name(one) in PRETRAINED and one.get('checkpoint'):
                place = f'{key}.init_cfg.{index}' if several else f'{key}.init_cfg'
                version, is_ours = _swin(node.get('type'), scope)
                yield Pretrained(f'{place}.checkpoint', one['checkpoint'], version, is_ours, one.get('prefix'))


def _swin(kind: object, scope: str) -> tuple[int | None, bool]:
    """The version of the Swin backbone that a type is, None if it is none, and whether it is ours."""
    from swin_mmdet.models import SwinTransformer, SwinTransformerV2

    found = find(kind, ('MODELS',), scope) if kind is not None else None
    for version, ours in ((2, SwinTransformerV2), (1, SwinTransformer)):
        if isinstance(found, type) and issubclass(found, ours):
            return version, True
    # mmdet's own reads the formats of V1
    return (1 if kind_name(found) == 'SwinTransformer' else None), False


def check_pretrained(cfg: Config) -> None:
    """Every such file is there, or is fetched now, and can be read; a Swin's is one of a Swin of its version.

    Raises:
        UserError: names the setting, the file and what to do.
    """
    found = list(pretrained(cfg))
    # local files first: they are looked at in no time
    for one in sorted(found, key=lambda one: '://' in one.source):
        _check(one)


def _check(one: Pretrained) -> None:
    from swin_mmdet.checkpoint import read_checkpoint, to_canonical
    from swin_mmdet.checkpoint.files import WEB, download, local_copy, resolve_url

    source = one.source
    try:
        existing_weights(source, 'pretrained weights')
        with naming_checkpoint(source):
            if '://' in source and not one.is_ours:
                url = resolve_url(source)
                if not url.startswith(WEB):
                    return  # a store that mmengine reads itself
                # where mmengine's own loader looks
                source = str(download(url, local_copy(url).with_name(Path(url).name)))
            weights = read_checkpoint(source).state_dict
            wanted = one.version if one.is_ours or not one.prefix else None
            version = to_canonical(weights, one.prefix).detection.version if wanted else None
    except UserError as error:
        text = str(error).rstrip('.')
        remedy = f'; or set another file: --cfg-options {one.key}=FILE'
        if one.key.endswith('.checkpoint'):
            remedy += f' ({one.key.removesuffix(".checkpoint")}=None begins with random weights)'
        raise UserError(f'{one.key}: {text}{remedy}') from error
    if version != wanted:
        raise UserError(
            f'{one.key}: {one.source} holds a SwinV{version}, the model has a SwinV{one.version}; '
            'take weights of that, or another type of backbone'
        )
