"""Training and evaluation from Python: the programs `train` and `test`, with their options as arguments."""

import argparse
import io
from collections.abc import Callable, Mapping
from contextlib import redirect_stderr
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch
from mmengine.config import Config
from torch import nn

from swin_mmdet.commands import test, train
from swin_mmdet.errors import UserError

# arguments by their place, and the one whose values are of any type
PLACES, SETTINGS = ('config', 'checkpoint'), 'cfg_options'
HINT = ' (--help lists the arguments)\n'


def train_detector(data: str | Path | None, model: str | Path, options: Mapping[str, Any]) -> Path:
    """Train as `tools/train.py`; the work-dir of the run.

    Args:
        data: what `--data` is.
        model: a config, or a name of `--model`.
        options: of the program, by their names with underscores.
    """
    chosen = dict(config=model) if Path(model).suffix or Path(model).exists() else dict(model=model)
    return Path(train.train(arguments(train.parse_args, chosen | dict(data=data) | dict(options))))


def evaluate_detector(
    model: nn.Module, checkpoint: str | None, data: str | Path | None, options: Mapping[str, Any]
) -> dict[str, float]:
    """Evaluate as `tools/test.py`; its metrics by their names.

    Args:
        model: with its `cfg` and `dataset_meta`.
        checkpoint: the file of its weights; None for those that it has.
    """
    with TemporaryDirectory(ignore_cleanup_errors=True) as folder:
        cfg: Config = model.cfg
        config = Path(folder, 'detector.py')
        cfg.dump(config)
        if checkpoint is None:
            checkpoint = str(Path(folder, 'detector.pth'))
            torch.save({'state_dict': model.state_dict(), 'meta': {'dataset_meta': model.dataset_meta}}, checkpoint)
        chosen = dict(config=config, checkpoint=checkpoint, data=data, work_dir=str(Path(folder, 'work')))
        return test.evaluate(arguments(test.parse_args, chosen | dict(options)))


def arguments(parse: Callable[[list[str]], argparse.Namespace], options: Mapping[str, Any]) -> argparse.Namespace:
    """What a program reads where `options` are its arguments: `freeze=['neck'], ema=True` is `--freeze neck --ema`.

    Raises:
        UserError: it has no such argument, or not with that value.
    """
    words = [str(options[name]) for name in PLACES if name in options]
    for name, value in options.items():
        if name in (*PLACES, SETTINGS) or value is None or value is False:
            continue
        words.append('--' + name.replace('_', '-'))
        if value is not True:
            words += [str(one) for one in (value if isinstance(value, list | tuple) else [value])]
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            args = parse(words)
    except SystemExit:
        raise UserError(said.getvalue().removeprefix('error: ').removesuffix(HINT).strip()) from None
    # values need no text in between
    setattr(args, SETTINGS, dict(options.get(SETTINGS) or {}))
    return args
