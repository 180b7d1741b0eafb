"""Checkpoints are whole whenever a run ends, and a save that fails costs nothing but itself."""

import errno
import os
import re
import signal
import threading
from pathlib import Path

import pytest
import torch
from mmengine.runner import Runner

from swin_mmdet.checkpoint.damage import damage
from swin_mmdet.engine.saving import writer
from swin_mmdet.engine.saving.checkpoint_hook import checkpoint_hook
from swin_mmdet.engine.saving.curves import keep_training
from swin_mmdet.engine.saving.whole_file import remove_left_overs, whole_file, write_text

from . import tiny_run

BEST = dict(train_cfg__val_interval=5, default_hooks__checkpoint__save_best='score',
            default_hooks__checkpoint__rule='greater')  # fmt: skip


def names(folder: Path, pattern: str = '*.pth*') -> set[str]:
    return {path.name for path in folder.glob(pattern)}


def log(runner: Runner) -> str:
    return next(Path(runner.log_dir).glob('*.log')).read_text()


def kill_at(save: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a process that is started from here be killed in the middle of its n-th save."""
    real, count = torch.save, []

    def killed(state: dict, path: Path) -> None:
        real(state, path)
        count.append(path)
        if len(count) == save:
            os.truncate(path, 1000)
            os.kill(os.getpid(), signal.SIGKILL)

    monkeypatch.setattr(writer.torch, 'save', killed)


@pytest.mark.parametrize('background', [True, False])
@pytest.mark.parametrize('save', [1, 2, 3])
def test_a_kill_while_saving(save: int, background: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Even where one is kept, the last one is whole and named; what was being written goes at the next start."""
    changes = dict(default_hooks__checkpoint__max_keep_ckpts=1, default_hooks__checkpoint__background=background)
    kill_at(save, monkeypatch)
    (run,) = tiny_run.start(tmp_path, 1, **changes)
    tiny_run.end_of(run)
    assert run.exitcode == -signal.SIGKILL
    monkeypatch.undo()
    last = f'iter_{5 * (save - 1)}.pth'
    assert names(tmp_path) == ({last} if save > 1 else set()) | {f'iter_{5 * save}.pth.{run.pid}.part'}
    if save > 1:
        assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / last)
        assert damage(tmp_path / last) is None
    source = dict(resume=True, load_from=str(tmp_path / last)) if save > 1 else {}
    runner = tiny_run.train(tmp_path, **changes, **source)
    assert names(tmp_path) == {'iter_20.pth'}
    assert f'removed what was being written when a run ended: iter_{5 * save}.pth.{run.pid}.part' in log(runner)


def test_the_best_one_is_there_whenever_a_run_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    # saves: 5, best, 5 again, 10, best (if better)
    scores = iter([1.0, 2.0])
    monkeypatch.setattr(tiny_run.TinyMetric, 'compute_metrics', lambda *_: dict(score=next(scores)))
    kill_at(5, monkeypatch)
    (run,) = tiny_run.start(tmp_path, 1, **BEST)
    tiny_run.end_of(run)
    assert run.exitcode == -signal.SIGKILL
    assert names(tmp_path, 'best*.pth') == {'best_score_iter_5.pth'}
    assert damage(tmp_path / 'best_score_iter_5.pth') is None


def test_the_best_one_takes_the_place_of_the_one_before(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    scores = iter([1.0, 3.0, 2.0, 4.0])
    monkeypatch.setattr(tiny_run.TinyMetric, 'compute_metrics', lambda *_: dict(score=next(scores)))
    tiny_run.train(tmp_path, **BEST, train_cfg__max_iters=15)
    assert names(tmp_path, 'best*') == {'best_score_iter_10.pth'}
    # a run that goes on knows it
    source = str(tmp_path / 'iter_15.pth')
    tiny_run.train(tmp_path, **BEST, resume=True, load_from=source)
    assert names(tmp_path, 'best*') == {'best_score_iter_20.pth'}


def test_two_processes_save_their_best_together(tmp_path: Path):
    for process in tiny_run.start(tmp_path, 2, **BEST, train_cfg__max_iters=10):
        tiny_run.end_of(process)
        assert process.exitcode == 0, tiny_run.console(tmp_path)[-2000:]
    assert names(tmp_path) >= {'iter_5.pth', 'iter_10.pth'}
    (best,) = names(tmp_path, 'best*')
    assert damage(tmp_path / best) is None


def test_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The old checkpoint stays, the run goes on, and the next save is made."""
    real = torch.save

    def full(state: dict, path: Path) -> None:
        if state['meta']['iter'] == 10:
            Path(path).write_bytes(b'half')
            raise OSError(errno.ENOSPC, 'No space left on device')
        real(state, path)

    monkeypatch.setattr(writer.torch, 'save', full)
    runner = tiny_run.train(tmp_path, default_hooks__checkpoint__max_keep_ckpts=1, train_cfg__max_iters=14,
                            default_hooks__checkpoint__save_last=False)  # fmt: skip
    assert names(tmp_path) == {'iter_5.pth'}
    assert (tmp_path / 'last_checkpoint').read_text() == str(tmp_path / 'iter_5.pth')
    reason = r'OSError: \[Errno 28\] No space left on device; \d+ MiB of the disk are free without it'
    assert re.search(rf'iter_10.pth could not be written \({reason}\); the checkpoint before it stays', log(runner))
    # the next that is written takes the place of the one before both
    tiny_run.train(tmp_path / 'longer', default_hooks__checkpoint__max_keep_ckpts=1)
    assert names(tmp_path / 'longer') == {'iter_20.pth'}
    monkeypatch.undo()
    tiny_run.train(tmp_path / 'more', default_hooks__checkpoint__max_keep_ckpts=1)
    assert names(tmp_path / 'more') == {'iter_20.pth'}


def test_curves_that_cannot_be_written(tmp_path: Path):
    runner = tiny_run.build(tmp_path, train_cfg__max_iters=5)
    keep_training(runner.visualizer)
    scalars = Path(runner.log_dir, 'vis_data/scalars.json')
    scalars.unlink(missing_ok=True)
    scalars.symlink_to('/dev/full')
    runner.train()
    assert log(runner).count('the curves could not be written ([Errno 28] No space left on device)') == 1
    assert names(tmp_path) == {'iter_5.pth'}


def test_a_run_that_fails_ends_when_its_checkpoint_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    class Fails(tiny_run.Hook):
        def after_train_iter(self, runner: Runner, **_: object) -> None:
            if runner.iter == 5:
                raise KeyError

    real, begun, failed = torch.save, threading.Event(), threading.Event()
    monkeypatch.setattr(writer.torch, 'save', lambda *args: (begun.set(), failed.wait(60), real(*args)))
    runner = tiny_run.build(tmp_path)
    runner.register_hook(Fails())
    with pytest.raises(KeyError):
        runner.train()
    assert begun.wait(60)
    assert names(tmp_path) == {f'iter_5.pth.{os.getpid()}.part'}
    failed.set()
    checkpoint_hook(runner).close()
    assert names(tmp_path) == {'iter_5.pth'}


def test_a_poisoned_one_does_not_replace_a_good_one(tmp_path: Path):
    class Poison(tiny_run.Hook):
        def before_train_iter(self, runner: Runner, **_: object) -> None:
            if runner.iter == 7:
                runner.model.last.weight.data[0, 0] = float('nan')

    runner = tiny_run.build(tmp_path, default_hooks__checkpoint__max_keep_ckpts=1)
    runner.register_hook(Poison())
    runner.train()
    assert names(tmp_path) == {'iter_5.pth'}
    assert 'iter_10.pth is not written: state_dict.' in log(runner)


def test_what_is_written_in_the_background_is_of_its_iteration(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Training goes on while a slow disk writes, at most one file at a time."""
    real, writing = torch.save, []

    def slow(state: dict, path: Path) -> None:
        writing.append(path)
        assert len(writing) == 1
        tiny_run.time.sleep(0.3)
        real(state, path)
        writing.clear()

    monkeypatch.setattr(writer.torch, 'save', slow)
    tiny_run.train(tmp_path / 'slow')
    monkeypatch.undo()
    tiny_run.train(tmp_path / 'at once', default_hooks__checkpoint__background=False)
    for step in (5, 10, 15, 20):
        one, other = (
            torch.load(tmp_path / name / f'iter_{step}.pth', weights_only=True) for name in ('slow', 'at once')
        )
        assert all(torch.equal(value, other['state_dict'][key]) for key, value in one['state_dict'].items())
        assert one['state_dict']._metadata == other['state_dict']._metadata
        moments = one['optimizer']['state'], other['optimizer']['state']
        assert all(torch.equal(moments[0][key]['exp_avg'], moments[1][key]['exp_avg']) for key in moments[1])


def test_mmengine_reads_what_it_wrote_itself(tmp_path: Path):
    """The keys of its own hook, and two of ours."""
    tiny_run.train(tmp_path / 'ours', train_cfg__max_iters=5)
    tiny_run.train(tmp_path / 'theirs', train_cfg__max_iters=5, default_hooks__checkpoint__type='CheckpointHook')
    ours, theirs = (torch.load(tmp_path / name / 'iter_5.pth', weights_only=True) for name in ('ours', 'theirs'))
    assert ours.keys() == theirs.keys() | {'processes'}
    assert ours['meta'].keys() == theirs['meta'].keys()
    assert (tmp_path / 'theirs/last_checkpoint').read_text().endswith('theirs/iter_5.pth')
    # and goes on from it
    tiny_run.train(tmp_path / 'ours', default_hooks__checkpoint__type='CheckpointHook', resume=True,
                   load_from=str(tmp_path / 'ours/iter_5.pth'))  # fmt: skip
    assert names(tmp_path / 'ours') >= {'iter_20.pth'}


def test_a_config_in_a_checkpoint_is_not_run(tmp_path: Path):
    tiny_run.train(tmp_path, train_cfg__max_iters=5)
    path = tmp_path / 'iter_5.pth'
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['meta']['config'] = f'open({str(tmp_path / "ran")!r}, "w")'
    torch.save(checkpoint, path)
    tiny_run.train(tmp_path, resume=True, load_from=str(path))
    assert not (tmp_path / 'ran').exists()


def test_a_link_is_replaced_not_followed(tmp_path: Path):
    (tmp_path / 'far').write_text('kept')
    (tmp_path / 'here').symlink_to(tmp_path / 'far')
    (tmp_path / f'here.{os.getpid()}.part').symlink_to(tmp_path / 'far')
    write_text(tmp_path / 'here', 'new')
    assert (tmp_path / 'far').read_text() == 'kept'
    assert (tmp_path / 'here').read_text() == 'new'
    assert not (tmp_path / 'here').is_symlink()


def test_nothing_is_left_of_a_failure(tmp_path: Path):
    write_text(tmp_path / 'a', 'old')

    def fail() -> None:
        with whole_file(tmp_path / 'a') as beside:
            beside.write_text('half')
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert names(tmp_path, '*') == {'a'}
    assert (tmp_path / 'a').read_text() == 'old'


def test_left_overs_are_only_ours(tmp_path: Path):
    for name in ('iter_5.pth.77.part', 'iter_5.pth', 'film.part', 'iter_5.pth.part'):
        (tmp_path / name).write_text('')
    assert remove_left_overs(tmp_path) == ['iter_5.pth.77.part']
    assert names(tmp_path, '*') == {'iter_5.pth', 'film.part', 'iter_5.pth.part'}
