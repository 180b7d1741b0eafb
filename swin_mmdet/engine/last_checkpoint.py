"""The checkpoint from which a run goes on, at whatever moment it ended and wherever its folder lies now."""

import re
import zipfile
from collections.abc import Iterator
from pathlib import Path

import torch
from mmengine.config import Config

from swin_mmdet.checkpoint.damage import damage, non_finite
from swin_mmdet.config.files import existing_weights
from swin_mmdet.errors import UserError

NAME = re.compile(r'(epoch|iter)_(\d+)\.pth')
BEST = re.compile(r'best_.*_(epoch|iter)_(\d+)\.pth')


def resume(cfg: Config, source: str) -> list[str]:
    """Let the runner restore weights, optimizer, schedule and progress: of a file, or with 'auto' of its last one.

    Returns:
        What to tell the user.

    Raises:
        UserError: a URL, or no checkpoint that is whole.
    """
    cfg.resume = True
    if '://' in source:
        # mmengine would read it without PyTorch's protection against code in files
        raise UserError(f'--resume {source}: download the file first')
    if source != 'auto':
        cfg.load_from = existing_weights(source, 'checkpoint to resume from')
        # what is no file of PyTorch at all has messages of its own
        if zipfile.is_zipfile(source) and (problem := unfit(Path(source))):
            raise UserError(f'--resume {source}: {problem}; give the path of another, or none for the last good one')
        return []
    try:
        latest, lines = last_checkpoint(cfg.work_dir)
    except UserError as error:
        raise UserError(f'--resume: {error}, or another --work-dir to start anew') from error
    lines = [f'--resume: {line}' for line in lines]
    if latest is None:
        cfg.resume = False
        return [f'--resume: no checkpoint in {cfg.work_dir}, training starts at the beginning']
    cfg.load_from = str(latest)
    return lines


def last_checkpoint(work_dir: str | Path) -> tuple[Path | None, list[str]]:
    """The newest good checkpoint of a folder, and what to tell the user of it; None if there never was one.

    The newest is the one of the most iterations; the file `last_checkpoint` only says in which folder they are, as it
    may be of another time or place than theirs, empty or damaged. One is good if its bytes fit their checksums and its
    weights are numbers.

    Raises:
        UserError: there is one, and none is good.
    """
    work_dir = Path(work_dir)
    noted = _noted(work_dir)
    found = _newest_first({*_saved(work_dir), *(_saved(noted.parent) if noted and noted.exists() else ())})
    lines = []
    for path in found:
        problem = unfit(path)
        if problem is None:
            return path, lines
        lines.append(f'{path} is passed over, {problem}')
    if found or (work_dir / 'last_checkpoint').exists():
        raise UserError(
            f'no good checkpoint in {work_dir}'
            + (f', where last_checkpoint names {noted}' if noted and noted not in found else '')
            + ''.join(f'; {path.name}: {line.partition(" is passed over, ")[2]}' for path, line in zip(found, lines))
            + '; give the path of another'
        )
    return None, []


def best_checkpoint(work_dir: str | Path) -> tuple[Path | None, list[str]]:
    """The newest good one of those that scored best in a folder (`best_*.pth`), and what to tell the user of it."""
    lines = []
    for path in _newest_first({path for path in Path(work_dir).glob('best_*.pth') if BEST.fullmatch(path.name)}):
        problem = unfit(path)
        if problem is None:
            return path, lines
        lines.append(f'{path} is passed over, {problem}')
    return None, lines


def unfit(path: Path) -> str | None:
    """Why a run should not go on from this file."""
    problem = damage(path)
    if problem:
        return problem
    try:
        checkpoint = _load(path)
    except Exception as error:
        return f'it is no checkpoint of a training ({type(error).__name__})'
    name = non_finite(checkpoint)
    return f'its {name} holds NaN or infinity' if name else None


def _noted(work_dir: Path) -> Path | None:
    """What the pointer names: in this folder if it is there, as the folder may have been moved or copied."""
    pointer = work_dir / 'last_checkpoint'
    text = pointer.read_bytes().decode(errors='replace').strip() if pointer.is_file() else ''
    if not text or '\0' in text:
        return None
    here = work_dir / Path(text).name
    return here if here.exists() else Path(text)


def _saved(folder: Path) -> Iterator[Path]:
    return (path for path in folder.glob('*.pth') if NAME.fullmatch(path.name))


def _newest_first(paths: set[Path]) -> list[Path]:
    kinds = {path.stem.split('_')[-2] for path in paths}
    # epochs and iterations compare by what is in the files
    progress = _number if len(kinds) < 2 else _iterations
    return sorted(paths, key=lambda path: (progress(path), _number(path), path.name), reverse=True)


def _number(path: Path) -> int:
    return int(path.stem.rpartition('_')[2])


def _iterations(path: Path) -> float:
    try:
        return _load(path)['meta']['iter']
    except Exception:
        # looked at first, and told
        return float('inf')


def _load(path: Path) -> dict:
    """Mapped: what is not looked at is not read."""
    return torch.load(path, map_location='cpu', weights_only=True, mmap=True)
