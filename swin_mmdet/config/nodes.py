"""The dicts of a config, and what their `type` is called, be it a name, one with its scope or module, or the class."""

from collections.abc import Container, Iterator

# mmengine's initialiser from a file: its name in the registry, and that of its class
PRETRAINED = ('Pretrained', 'PretrainedInit')


def nodes(cfg: object) -> Iterator[dict]:
    """Every dict in a config, the outer ones first."""
    for _, node in keyed_nodes(cfg):
        yield node


def keyed_nodes(cfg: object, key: str = '', skip: Container[str] = ()) -> Iterator[tuple[str, dict]]:
    """Every dict in a config with its key below `key`, as `--cfg-options` takes it: 'model.neck.0'.

    What stands under a name in `skip` is left out, and all that is inside of it.
    """
    if not isinstance(cfg, dict):
        cfg = getattr(cfg, '_cfg_dict', cfg)  # an mmengine.Config
    if isinstance(cfg, dict):
        yield key, cfg
    for name, child in children(cfg):
        if name not in skip:
            yield from keyed_nodes(child, f'{key}.{name}' if key else name, skip)


def children(node: object) -> list[tuple[str, object]]:
    """The entries of a dict or a list of a config, each with its name or number; none of anything else."""
    if isinstance(node, dict):
        return list(node.items())
    return [(str(index), child) for index, child in enumerate(node)] if isinstance(node, list | tuple) else []


def type_name(node: dict | None) -> str:
    """The name of a node's type without scope or module: 'Resize' for 'mmdet.Resize' and for the class; '' for none."""
    return kind_name((node or {}).get('type'))


def kind_name(kind: object) -> str:
    """The same of the type itself."""
    if kind is None:
        return ''
    name = kind if isinstance(kind, str) else getattr(kind, '__name__', str(kind))
    return name.rpartition('.')[2]
