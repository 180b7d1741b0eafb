"""The dicts of a config, and what their `type` is called, be it a name, one with its scope or module, or the class."""

from collections.abc import Iterator

# mmengine's initialiser from a file: its name in the registry, and that of its class
PRETRAINED = ('Pretrained', 'PretrainedInit')


def nodes(cfg: object) -> Iterator[dict]:
    """Every dict in a config, the outer ones first."""
    for _, node in keyed_nodes(cfg):
        yield node


def keyed_nodes(cfg: object, key: str = '') -> Iterator[tuple[str, dict]]:
    """Every dict in a config with its key below `key`, as `--cfg-options` takes it: 'model.neck.0'."""
    if not isinstance(cfg, dict):
        cfg = getattr(cfg, '_cfg_dict', cfg)  # an mmengine.Config
    if isinstance(cfg, dict):
        yield key, cfg
        children = list(cfg.items())
    else:
        children = list(enumerate(cfg)) if isinstance(cfg, list | tuple) else ()
    for name, child in children:
        yield from keyed_nodes(child, f'{key}.{name}' if key else str(name))


def type_name(node: dict | None) -> str:
    """The name of a node's type without scope or module: 'Resize' for 'mmdet.Resize' and for the class; '' for none."""
    return kind_name((node or {}).get('type'))


def kind_name(kind: object) -> str:
    """The same of the type itself."""
    if kind is None:
        return ''
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', str(kind))
    return name.rpartition('.')[2]
