"""Our loops call the hooks of a training where mmengine's own do, as often and in the same order."""

from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmengine

# isort: split
from mmengine.hooks import Hook
from mmengine.runner import Runner

from tests.engine import tiny_run

POINTS = [f'{when}_{what}' for what in ('run', 'train', 'train_epoch', 'train_iter', 'val', 'val_epoch', 'val_iter')
          for when in ('before', 'after')]  # fmt: skip


class Calls(Hook):
    """Writes down each point of a run that it is called at, with the number of the iteration and of the epoch."""

    def __init__(self) -> None:
        self.seen: list[tuple] = []

    def __getattribute__(self, name: str) -> object:
        if name not in POINTS:
            return super().__getattribute__(name)

        def called(runner: Runner, *_: object, **words: object) -> None:
            self.seen.append((name, runner.iter, runner.epoch, sorted(words)))

        return called


@pytest.mark.parametrize('length', [dict(max_epochs=2, val_interval=1), dict(max_iters=17, val_interval=6)], ids=str)
def test_hooks_are_called_where_mmengine_calls_them(length: dict, tmp_path: Path):
    kind, seen = 'EpochBasedTrainLoop' if 'max_epochs' in length else 'IterBasedTrainLoop', []
    for scope in ('swin_mmdet', 'mmengine'):
        runner = tiny_run.build(
            tmp_path / scope, train_cfg=dict(_delete_=True, type=f'{scope}.{kind}', **length), custom_hooks=[],
            default_hooks__checkpoint=None, default_hooks__logger=None,
        )  # fmt: skip
        calls = Calls()
        runner.register_hook(calls)
        runner.train()
        seen.append(calls.seen)
    ours, theirs = seen
    assert ours == theirs
    assert {name for name, *_ in ours} == set(POINTS)
