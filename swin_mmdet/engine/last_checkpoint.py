"""The checkpoint from which a run goes on, at whatever moment it ended and wherever its folder lies now."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from swin_mmdet.config.files import existing_weights
from swin_mmdet.errors import UserError


def resume(cfg: Config, source: str) -> list[str]:
    """Let the runner restore weights, optimizer, schedule and progress: of a file, or with 'auto' of its last one.

    Returns:
        What to tell the user.

    Raises:
        UserError: a URL, or no whole checkpoint.
    """
    cfg.resume = True
    if '://' in source:
        # mmengine would read it without PyTorch's protection against code in files
        raise UserError(f'--resume {source}: download the file first')
    if source != 'auto':
        cfg.load_from = existing_weights(source, 'checkpoint to resume from')
        return []
    latest, lines = last_checkpoint(cfg.work_dir)
    if latest is None:
        cfg.resume = False
        return [f'--resume: no checkpoint in {cfg.work_dir}, training starts at the beginning']
    cfg.load_from = str(latest)
    return lines


def last_checkpoint(work_dir: str | Path) -> tuple[Path | None, list[str]]:
    """The newest whole checkpoint that mmengine wrote at intervals into this folder, and what to tell the user of it.

    None if it never wrote one.

    mmengine notes its path in a file, `last_checkpoint`, which is empty if the run was killed just then; the path is of
    the time and place of the run; and a machine that went down may leave half a checkpoint.

    Raises:
        UserError: One was written, and none is left.
    """
    work_dir = Path(work_dir)
    noted = work_dir / 'last_checkpoint'
    found = list(_candidates(work_dir, noted))
    for path in found:
        # the end of the file has its table of contents
        if zipfile.is_zipfile(path):
            newer = f'--resume: {found[0]} is gone or cut off; goes on from {path}'
            return path, [newer] if path != found[0] else []
    if found or noted.exists():
        raise UserError(
            f'--resume: no whole checkpoint in {work_dir}'
            + (f', where last_checkpoint names {found[0]}' if found else '')
            + '; give the path of another, or another --work-dir to start anew'
        )
    return None, []


def _candidates(work_dir: Path, noted: Path) -> Iterator[Path]:
    path = Path(noted.read_text().strip()) if noted.exists() else Path()
    if path.name:
        here = work_dir / path.name
        yield here if here.exists() or not path.exists() else path
    saved = [other for pattern in ('epoch_*.pth', 'iter_*.pth') for other in work_dir.glob(pattern)]
    yield from sorted(saved, key=lambda other: other.stat().st_mtime, reverse=True)


def keep_two(cfg: Config) -> list[str]:
    """mmengine removes the old checkpoint before it writes the new one: of one, a run that is killed then has none."""
    hook = cfg.get('default_hooks', {}).get('checkpoint') or {}
    if hook.get('max_keep_ckpts') != 1:
        return []
    hook['max_keep_ckpts'] = 2
    return ['keeps two checkpoints, not one: a run that is killed while it saves would have none']
