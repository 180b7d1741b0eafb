"""The checkpoint from which a run goes on, at whatever moment it ended and wherever its folder lies now."""

import zipfile
from collections.abc import Iterator
from pathlib import Path

from launch import UserError, say
from mmengine.config import Config


def last_checkpoint(work_dir: str | Path) -> Path | None:
    """The newest whole checkpoint that mmengine wrote at intervals into this folder, or None if it never wrote one.

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
            if path != found[0]:
                say(f'--resume: {found[0]} is gone or cut off; goes on from {path}')
            return path
    if found or noted.exists():
        raise UserError(
            f'--resume: no whole checkpoint in {work_dir}'
            + (f', where last_checkpoint names {found[0]}' if found else '')
            + '; give the path of another, or another --work-dir to start anew'
        )
    return None


def _candidates(work_dir: Path, noted: Path) -> Iterator[Path]:
    path = Path(noted.read_text().strip()) if noted.exists() else Path()
    if path.name:
        here = work_dir / path.name
        yield here if here.exists() or not path.exists() else path
    saved = [other for pattern in ('epoch_*.pth', 'iter_*.pth') for other in work_dir.glob(pattern)]
    yield from sorted(saved, key=lambda other: other.stat().st_mtime, reverse=True)


def keep_two(cfg: Config) -> None:
    """mmengine removes the old checkpoint before it writes the new one: of one, a run that is killed then has none."""
    hook = cfg.get('default_hooks', {}).get('checkpoint') or {}
    if hook.get('max_keep_ckpts') == 1:
        hook['max_keep_ckpts'] = 2
        say('keeps two checkpoints, not one: a run that is killed while it saves would have none')
