"""A fitted config as a file: what differs from the recipe, and why, in an order and with words for people."""

import copy
import keyword
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config

from swin_mmdet.config.files import project_configs, read_config
from swin_mmdet.errors import UserError
from swin_mmdet.fitting.setting import Setting

# of a process, not of a training; and variables from which data loaders were made, which nothing reads
LEFT_OUT = ('work_dir', 'launcher', 'resume', 'local_rank', 'train_pipeline', 'test_pipeline')
WIDTH = 110
FOLDED = 100


def write_config(path: Path, cfg: Config, base: str | Path, title: str, settings: Sequence[Setting]) -> None:
    """Write a config that reads as `cfg` does, but for work-dir and launcher, and names the recipe it comes from.

    Args:
        base: the file of the recipe.
        title: first line of its docstring.
        settings: what was fitted, for the docstring.

    Raises:
        UserError: the file cannot be written.
    """
    recipe, wanted = _plain(read_config(str(base))), _plain(cfg)
    changes = difference(recipe, wanted)
    lines = ['\n'.join(textwrap.wrap(f'- {one}', WIDTH, subsequent_indent='  ')) for one in settings]
    head = f'"""{title}\n\n' + '\n'.join(lines).replace('\\', '\\\\').replace('"""', "'''") + '\n"""\n\n'
    entries = [f'{key} = {written(value)}' for key, value in changes.items()]
    body = f'_base_ = {base_name(base)!r}\n\n' + '\n'.join(entries)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(f'{head}{body}\n')
    except OSError as error:
        raise UserError(f'config {path} cannot be written ({error.strerror}); give another --work-dir') from error
    if _reads_otherwise(path, wanted):
        # a recipe of Python's style is no base of a config of texts
        kept = copy.deepcopy(cfg)
        for key in LEFT_OUT:
            kept.pop(key, None)
        path.write_text(head + kept.pretty_text)


def _reads_otherwise(path: Path, wanted: dict) -> bool:
    try:
        return _without_scope(_plain(read_config(str(path)))) != _without_scope(wanted)
    except UserError:
        return True


def _without_scope(value: Any) -> Any:
    """mmengine notes in which package's scope the parts of a base are looked up; of ours it is the default."""
    if isinstance(value, dict):
        return {key: _without_scope(one) for key, one in value.items() if (key, one) != ('_scope_', 'mmdet')}
    return type(value)(map(_without_scope, value)) if isinstance(value, list | tuple) else value


def base_name(base: str | Path) -> str:
    """How a config names its base: one of this project wherever that is installed, any other by its path."""
    path = Path(base).resolve()
    if path.is_relative_to(project_configs()):
        return f'swin_mmdet::{path.relative_to(project_configs()).as_posix()}'
    return str(path)


def difference(old: dict, new: dict) -> dict[str, Any]:
    """What a config with the base `old` has to say to be `new`, in the order of `new`."""
    return {key: _changed(old.get(key), value) for key, value in new.items() if key not in old or old[key] != value}


def _changed(old: Any, new: Any) -> Any:
    if not isinstance(new, dict) or not isinstance(old, dict):
        return new
    if old.keys() - new.keys() or '_delete_' in new:
        return {'_delete_': True, **new}
    return difference(old, new)


def written(value: Any, indent: int = 0) -> str:
    """A value as configs are written: `dict(key=value)`, over several lines where one is too long."""
    flat = _flat(value)
    if len(flat) + indent <= FOLDED or not isinstance(value, dict | list | tuple) or not value:
        return flat
    inner = ' ' * (indent + 4)
    if isinstance(value, dict) and _are_names(value):
        parts, brackets = [f'{key}={written(one, indent + 4)}' for key, one in value.items()], ('dict(', ')')
    elif isinstance(value, dict):
        parts, brackets = [f'{key!r}: {written(one, indent + 4)}' for key, one in value.items()], ('{', '}')
    else:
        is_flat = not any(isinstance(one, dict | list | tuple) for one in value)
        parts = _rows(value, FOLDED - indent) if is_flat else [written(one, indent + 4) for one in value]
        brackets = ('[', ']') if isinstance(value, list) else ('(', ')')
    return brackets[0] + '\n' + ''.join(f'{inner}{part},\n' for part in parts) + ' ' * indent + brackets[1]


def _rows(values: Sequence[Any], width: int) -> list[str]:
    """Values of a long list, as many in a line as it takes."""
    rows = ['']
    for value in values:
        longer = f'{rows[-1]}, {value!r}' if rows[-1] else repr(value)
        rows = [*rows[:-1], longer] if len(longer) <= width or not rows[-1] else [*rows, repr(value)]
    return rows


def _flat(value: Any) -> str:
    if isinstance(value, dict):
        if _are_names(value):
            return f'dict({", ".join(f"{key}={_flat(one)}" for key, one in value.items())})'
        return '{' + ', '.join(f'{key!r}: {_flat(one)}' for key, one in value.items()) + '}'
    if isinstance(value, list):
        return f'[{", ".join(map(_flat, value))}]'
    if isinstance(value, tuple):
        return f'({", ".join(map(_flat, value))}{"," if len(value) == 1 else ""})'
    return repr(value)


def _are_names(value: dict) -> bool:
    return all(isinstance(key, str) and key.isidentifier() and not keyword.iskeyword(key) for key in value)


def _plain(cfg: Any) -> Any:
    """Dicts and lists of Python's own, without what is of a process."""
    whole = cfg.to_dict() if isinstance(cfg, Config) else cfg
    return {key: value for key, value in whole.items() if key not in LEFT_OUT}
