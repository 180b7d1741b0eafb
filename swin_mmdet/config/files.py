"""Files that a user names: what is there, what was probably meant, and a config read or refused in a sentence."""

import re
from pathlib import Path
from typing import TYPE_CHECKING

import swin_mmdet
from swin_mmdet.config.nearest import LIKELY, nearest
from swin_mmdet.config.nodes import nodes, type_name
from swin_mmdet.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

CONFIGS = ('.py', '.yaml', '.yml', '.json')  # what mmengine reads
WEIGHTS = ('.pth', '.pt', '.bin', '.safetensors', '.pkl')
EXPORTED = ('.onnx', '.pt2', '.xml')  # what swin_mmdet.export writes


def existing(path: str, what: str, remedy: str = 'check the path') -> str:
    """The path if something is there.

    Raises:
        UserError: nothing is; names the nearest path.
    """
    if Path(path).exists():
        return path
    near = _nearest_beside(Path(path), ())
    raise UserError(f'no {what} at {path} (looked from {Path.cwd()}); ' + (f'did you mean {near}?' if near else remedy))


def existing_config(path: str) -> str:
    """The path if a file is there that may be a config.

    Raises:
        UserError: none is, with the nearest config beside it or of this project; or it is a checkpoint or a folder.
    """
    file = Path(path)
    if file.suffix in WEIGHTS:
        raise UserError(f'{path} is a checkpoint by its name, and a config (.py) comes first: CONFIG, then CHECKPOINT')
    if file.is_dir():
        raise UserError(f'config {path} is a folder; name one of the files in it')
    if file.exists():
        return path
    near = _nearest_beside(file, CONFIGS) or _nearest_of_project(file.name)
    raise UserError(
        f'no config at {path} (looked from {Path.cwd()}); '
        + (f'did you mean {near}?' if near else 'the configs of this project are in configs/*/')
    )


def existing_weights(path: str, what: str) -> str:
    """A checkpoint's path if a file is there that may be one, or its URL.

    Raises:
        UserError: none is, or it is a config.
    """
    if '://' in path:
        return path
    if Path(path).suffix == '.py':
        raise UserError(f'{what} {path} is a config by its name; a checkpoint (.pth) is wanted here')
    if Path(path).is_dir():
        inside = sorted(file.name for file in Path(path).iterdir() if file.suffix in WEIGHTS)
        raise UserError(f'{what} {path} is a folder; name a file in it: {", ".join(inside) or "it has no checkpoints"}')
    return existing(path, what, 'train first, or give the path or URL of a .pth file')


def read_config(path: str) -> 'Config':
    """A config file.

    Raises:
        UserError: what is wrong with the path or the file.
    """
    existing_config(path)
    import swin_mmdet.compat  # noqa: F401  mmengine finds the files of `mmdet::` only after it

    # isort: split
    from mmengine.config import Config

    try:
        cfg = Config.fromfile(path)
    except ImportError as error:
        cause = error.__cause__ or error.__context__ or error
        missing = getattr(cause, 'name', None)
        remedy = f'install {missing.partition(".")[0]}' if missing else 'see its imports and custom_imports'
        raise UserError(f'config {path} cannot be imported: {error}; {remedy}') from error
    except Exception as error:  # a config is a program: it may fail in any way
        if base := _missing_base(error):
            near = _nearest_beside(base, CONFIGS)
            meant = f'; did you mean {near}?' if near else ''
            raise UserError(f'config {path}: there is no {base}, which its _base_ names{meant}') from error
        raise UserError(f'config {path} cannot be read: {type(error).__name__}: {error}') from error
    for node in nodes(cfg):
        # operations of Python-style configs, and of those configs when they were dumped: mmdet and our heads know names
        kind = node.get('type')
        if str(kind if isinstance(kind, str) else getattr(kind, '__module__', '')).startswith('mmcv.ops.'):
            node['type'] = type_name(node)
    return cfg


def _missing_base(error: Exception) -> Path | None:
    """The file of a `_base_` that is not there, where an error says so."""
    if not isinstance(error, FileNotFoundError):
        return None
    named = re.search(r'file "(.+)" does not exist', str(error))  # mmengine's own words
    path = Path(error.filename or (named[1] if named else ''))
    return path if path.suffix in CONFIGS else None


def project_configs() -> Path:
    """The folder of this project's configs, in a checkout and beside the installed package."""
    return (Path(swin_mmdet.__file__).parent / '.mim' / 'configs').resolve()


def _nearest_beside(path: Path, suffixes: tuple[str, ...]) -> Path | None:
    """What has the most similar name in its folder, or in the most similar folder if that is not there."""
    folder = path.parent
    if not folder.is_dir():
        near = _nearest_beside(folder, ()) if folder != folder.parent else None
        inside = near / path.name if near else None
        return inside if inside and inside.exists() else near and _nearest_beside(near / path.name, suffixes)
    names = [entry.name for entry in folder.iterdir() if not suffixes or entry.is_dir() or entry.suffix in suffixes]
    name = nearest(path.name, names, LIKELY if suffixes else 0.75)
    return folder / name if name else None


def _nearest_of_project(name: str) -> Path | None:
    """The config of this project with the most similar name, seen from here."""
    paths = {path.name: path for path in project_configs().glob('*/*.py')}
    near = nearest(Path(name).with_suffix('.py').name if '.' not in name else name, paths)
    if near is None:
        return None
    path = paths[near]
    return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path
