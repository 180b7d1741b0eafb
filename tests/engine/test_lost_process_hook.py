"""A process that is lost ends the others within the time, and is named."""

import os
import re
import signal
import time
from pathlib import Path

import pytest
from mmengine.hooks import Hook
from mmengine.registry import HOOKS
from mmengine.runner import Runner

from . import tiny_run

WATCH = dict(type='swin_mmdet.LostProcessHook', timeout=3, beat=0.3)
SLOW = dict(train_cfg__max_iters=1000, train_dataloader__dataset__pipeline=[dict(type='Jitter', seconds=0.02)])


@HOOKS.register_module(force=True)
class Sleeps(Hook):
    """Process 1 reads an image without an end, in iteration 4."""

    def before_train_iter(self, runner: Runner, **_: object) -> None:
        if runner.iter == 3 and runner.rank == 1:
            time.sleep(tiny_run.PATIENCE)


def ends(work_dir: Path, *hooks: dict, number: signal.Signals | None = None) -> tuple[str, float]:
    """Two processes, of which the second gets a signal; what the first said on its end, and after how long."""
    runs = tiny_run.start(work_dir, 2, **SLOW, custom_hooks=[dict(type='WriteLosses'), WATCH, *hooks])
    tiny_run.wait_for(lambda: tiny_run.done(work_dir, 3))
    begin = time.monotonic()
    if number:
        os.kill(runs[1].pid, number)
    tiny_run.end_of(runs[0])
    seconds = time.monotonic() - begin
    assert runs[0].exitcode == 1, tiny_run.console(work_dir)[-2000:]
    os.kill(runs[1].pid, signal.SIGKILL)
    runs[1].join()
    return tiny_run.console(work_dir), seconds


def test_a_frozen_one(tmp_path: Path):
    text, seconds = ends(tmp_path, number=signal.SIGSTOP)
    found = re.search(
        r'error: process 1 \(\S+, pid \d+; its last whole step was iteration (\d+)\) does not answer', text
    )
    assert found, text[-2000:]
    steps = len(tiny_run.losses(tmp_path, 1))
    assert steps - 2 <= int(found[1]) <= steps
    assert 'the run ends here, --resume goes on from its last checkpoint' in text
    assert seconds < 30


@pytest.mark.long
def test_a_stuck_one(tmp_path: Path):
    text, seconds = ends(tmp_path, dict(type='Sleeps', priority='HIGHEST'))
    assert re.search(r'error: process 1 \(.*last whole step was iteration [23]\) is stuck', text), text[-2000:]
    assert seconds < 30


@pytest.mark.parametrize('size', [24, 22])
def test_other_data(size: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    real = tiny_run.TinyData.load_data_list

    def load(self: tiny_run.TinyData) -> list[dict]:
        return real(self)[: size if os.environ.get('RANK') == '1' else None]

    monkeypatch.setattr(tiny_run.TinyData, 'load_data_list', load)
    runs = tiny_run.start(tmp_path, 2, custom_hooks=[dict(type='WriteLosses'), WATCH])
    for one in runs:
        tiny_run.end_of(one)
    said = 'process 1 has other training data than process 0: 22 images, not 24; give every machine the same files'
    assert (said in tiny_run.console(tmp_path)) == (size == 22)
    assert [one.exitcode for one in runs] == ([1, 1] if size == 22 else [0, 0])
