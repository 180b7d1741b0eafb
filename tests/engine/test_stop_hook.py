"""Signals end a run after its step, with a checkpoint from which it goes on exactly."""

import os
import signal
from pathlib import Path

import pytest
import torch

from . import tiny_run

SLOW = dict(train_dataloader__dataset__pipeline=[dict(type='Jitter', seconds=0.02)])
STOPS = dict(custom_hooks=[dict(type='WriteLosses'), dict(type='swin_mmdet.StopHook')])
EPOCHS = dict(train_cfg=dict(_delete_=True, type='swin_mmdet.EpochBasedTrainLoop', max_epochs=2, val_interval=5),
              default_hooks__checkpoint__by_epoch=True, default_hooks__checkpoint__interval=1)  # fmt: skip


@pytest.fixture(scope='module')
def straight(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An uninterrupted run."""
    work_dir = tmp_path_factory.mktemp('straight')
    tiny_run.train(work_dir)
    return work_dir


def saved(work_dir: Path) -> tuple[Path, int]:
    """The checkpoint that the pointer names, and the iteration that it has."""
    path = Path((work_dir / 'last_checkpoint').read_text())
    return path, torch.load(path, weights_only=True)['meta']['iter']


def stopped(work_dir: Path, number: signal.Signals, processes: int = 1, code: int = 0, **changes: object) -> str:
    """Start a run, send the first process a signal after 3 iterations, and wait for its end; what was said."""
    runs = tiny_run.start(work_dir, processes, **SLOW, **STOPS | changes)
    tiny_run.wait_for(lambda: tiny_run.done(work_dir, 3))
    os.kill(runs[0].pid, number)
    for process in runs:
        tiny_run.end_of(process)
        assert process.exitcode == code, tiny_run.console(work_dir)[-3000:]
    return tiny_run.console(work_dir)


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGINT, signal.SIGUSR1], ids=lambda one: one.name)
def test_it_saves_says_where_and_goes_on_exactly(number: signal.Signals, straight: Path, tmp_path: Path):
    text = stopped(tmp_path, number)
    path, iteration = saved(tmp_path)
    assert f'{number.name}: stopped after iteration {iteration}, saved to {path}; --resume goes on from there' in text
    assert len(tiny_run.losses(tmp_path)) == iteration < 20
    tiny_run.train(tmp_path, resume=True, load_from=str(path))
    assert tiny_run.losses(tmp_path) == tiny_run.losses(straight)


@pytest.mark.parametrize('workers', [0, 2])
def test_in_the_middle_of_an_epoch(workers: int, straight: Path, tmp_path: Path):
    changes = EPOCHS | dict(train_dataloader__num_workers=workers)
    stopped(tmp_path, signal.SIGTERM, **changes)
    path, iteration = saved(tmp_path)
    assert iteration < 12
    assert path.name == f'iter_{iteration}.pth'
    tiny_run.train(tmp_path, resume=True, load_from=str(path), **changes)
    assert tiny_run.losses(tmp_path)[:20] == tiny_run.losses(straight)
    assert len(tiny_run.losses(tmp_path)) == 24


def test_two_processes_stop_after_the_same_iteration(tmp_path: Path):
    stopped(tmp_path, signal.SIGTERM, processes=2)
    path, iteration = saved(tmp_path)
    assert len(tiny_run.losses(tmp_path, 0)) == len(tiny_run.losses(tmp_path, 1)) == iteration < 20
    assert len(torch.load(path, weights_only=True)['processes']) == 2


@pytest.mark.parametrize(('number', 'code'), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGUSR1, 138)])
def test_the_exit_code_of_the_signal_on_request(number: signal.Signals, code: int, tmp_path: Path):
    hooks = [dict(type='WriteLosses'), dict(type='swin_mmdet.StopHook', exit_code='signal')]
    stopped(tmp_path, number, code=code, custom_hooks=hooks)
    assert saved(tmp_path)[1] < 20


def test_a_second_signal_ends_at_once(tmp_path: Path):
    """While a sample is read without an end."""
    slow = dict(train_dataloader__dataset__pipeline=[dict(type='Jitter', seconds=2 * tiny_run.PATIENCE)])
    (run,) = tiny_run.start(tmp_path, 1, **slow, **STOPS)
    tiny_run.wait_for(lambda: 'Checkpoints will be' in tiny_run.console(tmp_path))
    os.kill(run.pid, signal.SIGTERM)
    run.join(3)
    assert run.is_alive()
    os.kill(run.pid, signal.SIGTERM)
    tiny_run.end_of(run)
    assert run.exitcode == -signal.SIGTERM


def test_a_signal_in_an_evaluation(straight: Path, tmp_path: Path):
    """It ends it; the run goes on with it, and trains as if nothing had been."""
    changes = STOPS | dict(train_cfg__val_interval=4, default_hooks__checkpoint__save_best='score',
                           default_hooks__checkpoint__rule='greater')  # fmt: skip
    slow = dict(val_dataloader__dataset__pipeline=[dict(type='Jitter', seconds=0.3)])
    (run,) = tiny_run.start(tmp_path, 1, **changes, **slow)
    tiny_run.wait_for(lambda: tiny_run.done(tmp_path, 4))
    os.kill(run.pid, signal.SIGTERM)
    tiny_run.end_of(run)
    assert run.exitcode == 0, tiny_run.console(tmp_path)[-2000:]
    path, iteration = saved(tmp_path)
    assert iteration == 4
    assert not list(tmp_path.glob('best_*'))
    runner = tiny_run.train(tmp_path, resume=True, load_from=str(path), **changes)
    assert tiny_run.losses(tmp_path) == tiny_run.losses(straight)
    scores = (Path(runner.log_dir) / 'vis_data/scalars.json').read_text().count('"score"')
    assert scores == 5


def test_what_it_needs(tmp_path: Path):
    with pytest.raises(ValueError, match=r'StopHook needs default_hooks\.checkpoint\.type=swin_mmdet\.CheckpointHook'):
        tiny_run.train(tmp_path, default_hooks__checkpoint__type='CheckpointHook', **STOPS)
