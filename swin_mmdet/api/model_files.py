"""The config and the checkpoint of a detector: named by the user, or found in a folder."""

import warnings
from pathlib import Path

from swin_mmdet.config.files import CONFIGS, EXPORTED, WEIGHTS, existing_config, existing_weights
from swin_mmdet.engine.last_checkpoint import best_checkpoint, last_checkpoint
from swin_mmdet.errors import UserError

BEST, LAST = 'best', 'last'


def model_files(model: str | Path, checkpoint: str | Path | None) -> tuple[str, str]:
    """Paths of a config and of weights, each there.

    Args:
        model: a config, or a folder with one: the work-dir of a training, or one that somebody gave away.
        checkpoint: a path, of the folder too, or a URL; 'best' or 'last' of a folder; None for its best, and its last
            where none scored.

    Raises:
        UserError: something is missing, or there are several; says which.
    """
    folder, named = Path(model), str(checkpoint) if checkpoint else None
    if not folder.is_dir():
        config = existing_config(str(model))
        if named in (None, BEST, LAST):
            raise UserError(f'{model} is a config, and a detector needs weights: Detector({str(model)!r}, CHECKPOINT)')
        return config, existing_weights(named, 'checkpoint')
    config = str(_config_in(folder))
    if named in (None, BEST, LAST):
        return config, str(_checkpoint_in(folder, named))
    return config, existing_weights(str(folder / named) if (folder / named).is_file() else named, 'checkpoint')


def _config_in(folder: Path) -> Path:
    found = sorted(path for path in folder.iterdir() if path.suffix in CONFIGS and path.suffix != '.json')
    # mmengine writes one for each run, in a folder with its time
    of_runs = sorted(folder.glob('*/vis_data/config.py'))
    if len(found) > 1 and not of_runs:
        raise UserError(
            f'folder {folder} has several configs: {", ".join(path.name for path in found)}; '
            'give one: Detector(CONFIG, CHECKPOINT)'
        )
    if not found and not of_runs:
        raise UserError(f'folder {folder} has no config (.py); give one: Detector(CONFIG, CHECKPOINT)')
    return found[0] if len(found) == 1 else of_runs[-1]


def _checkpoint_in(folder: Path, which: str | None) -> Path:
    path, lines = None, []
    if which != LAST:
        path, lines = best_checkpoint(folder)
        if which == BEST and path is None:
            raise UserError('; '.join([f'folder {folder} has no good checkpoint best_*.pth', *lines]))
    if path is None:
        path, more = last_checkpoint(folder)
        lines += more
    for line in lines:
        warnings.warn(line, stacklevel=4)
    return path or _only_weights(folder)


def _only_weights(folder: Path) -> Path:
    """Of a folder that no training made."""
    found = sorted(path for path in folder.iterdir() if path.suffix in WEIGHTS + EXPORTED)
    if len(found) != 1:
        names = ', '.join(path.name for path in found)
        raise UserError(
            f'folder {folder} has {"several files of weights: " + names if found else "no weights"}; '
            'give a file: Detector(FOLDER, CHECKPOINT)'
        )
    return found[0]
