"""The folder of a run: writable, with room, and of no other run."""

import os
import shutil
import signal
import socket
from pathlib import Path

import pytest

from swin_mmdet.engine.guards import check_work_dir, work_dir
from swin_mmdet.engine.guards.broken_images import CarefulReading
from swin_mmdet.engine.runner import TrainingRunner
from swin_mmdet.errors import UserError

from . import tiny_run

HOOKS = dict(custom_hooks=[dict(type='WriteLosses'), dict(type='swin_mmdet.WorkDirHook')])
SLOW = dict(train_dataloader__dataset__pipeline=[dict(type='Jitter', seconds=0.1)], train_dataloader__num_workers=2,
            default_hooks__checkpoint__interval=10**6, train_cfg__max_iters=10**6)  # fmt: skip


def test_a_new_folder_and_an_empty_one(tmp_path: Path):
    check_work_dir(tmp_path / 'new' / 'run')
    check_work_dir(tmp_path / 'new' / 'run')
    assert list((tmp_path / 'new/run').iterdir()) == []


def test_a_file(tmp_path: Path):
    (tmp_path / 'run').write_text('')
    with pytest.raises(UserError, match=r'work-dir .*run is a file; give a folder \(--work-dir\)'):
        check_work_dir(tmp_path / 'run')
    with pytest.raises(UserError, match=r'run/below cannot be written \(Not a directory\)'):
        check_work_dir(tmp_path / 'run/below')


@pytest.mark.parametrize(('number', 'reason'), [(30, 'Read-only file system'), (28, 'No space left on device')])
def test_where_nothing_can_be_written(number: int, reason: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def refuse(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, 'write_bytes', refuse)
    with pytest.raises(UserError, match=rf'cannot be written \({reason}\); give another \(--work-dir\)'):
        check_work_dir(tmp_path)


def test_checkpoints_of_another_run(tmp_path: Path):
    (tmp_path / 'iter_5.pth').write_text('')
    match = r'has 1 checkpoints of another run, such as iter_5\.pth: go on from there with --resume, .*--overwrite'
    with pytest.raises(UserError, match=match):
        check_work_dir(tmp_path)
    check_work_dir(tmp_path, goes_on=True)
    check_work_dir(tmp_path, overwrite=True)


def test_a_second_run_is_refused_while_the_first_lives(tmp_path: Path):
    (first,) = tiny_run.start(tmp_path, 1, **HOOKS, **SLOW)
    tiny_run.wait_for(lambda: tiny_run.done(tmp_path, 1))
    with pytest.raises(UserError, match=rf'another training runs in {tmp_path} \(process {first.pid} on .*\): end it'):
        tiny_run.train(tmp_path, **HOOKS)
    # however it ends, its workers too
    os.kill(first.pid, signal.SIGKILL)
    first.join()
    tiny_run.train(tmp_path, **HOOKS, train_cfg__max_iters=1)


def test_the_run_before_is_removed_on_request_or_stays(tmp_path: Path):
    """Its checkpoints have higher numbers than those of a new run that is killed early."""
    old = ('iter_900.pth', 'epoch_7.pth', 'best_score_iter_900.pth', 'notes.txt')
    for name in old:
        (tmp_path / name).write_text('')
    with pytest.raises(UserError, match='has 2 checkpoints of another run'):
        tiny_run.train(tmp_path, **HOOKS)
    assert all((tmp_path / name).exists() for name in old)
    hook = dict(type='swin_mmdet.WorkDirHook', overwrite=True)
    tiny_run.train(tmp_path, custom_hooks=[hook], train_cfg__max_iters=1)
    assert {path.name for path in tmp_path.glob('*.pth')} == {'iter_1.pth'}
    assert (tmp_path / 'notes.txt').exists()


def test_a_link_to_another_place_is_not_written_through(tmp_path: Path, capfd: pytest.CaptureFixture):
    (tmp_path / 'far').mkdir()
    names = 'run.py', 'broken_images.txt', 'last_checkpoint', '.training.txt'
    work_dir = tmp_path / 'here'
    work_dir.mkdir()
    for name in names:
        (tmp_path / 'far' / name).write_text('kept')
        (work_dir / name).symlink_to(tmp_path / 'far' / name)
    runner = tiny_run.train(work_dir, **HOOKS, train_cfg__max_iters=5)
    runner.cfg._filename = 'elsewhere/run.py'
    TrainingRunner.dump_config(runner)
    CarefulReading(runner.train_dataloader.dataset, work_dir / 'broken_images.txt')._tell('0.jpg', 'cut')
    assert '0.jpg cannot be read (cut); nor ' in capfd.readouterr().err
    assert all((tmp_path / 'far' / name).read_text() == 'kept' for name in names)
    assert (work_dir / 'last_checkpoint').read_text() == str(work_dir / 'iter_5.pth')
    (work_dir / '.training.lock').unlink()
    (work_dir / '.training.lock').symlink_to(tmp_path / 'far/run.py')
    with pytest.raises(UserError, match=r'\.training\.lock cannot be locked .*: remove it'):
        tiny_run.train(work_dir, **HOOKS)


def test_little_room_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(shutil, 'disk_usage', lambda _: shutil._ntuple_diskusage(10, 10, 100))
    runner = tiny_run.train(tmp_path, **HOOKS, train_cfg__max_iters=1)
    assert f'{tmp_path} has 0.0 GiB left; two checkpoints' in next(Path(runner.log_dir).glob('*.log')).read_text()


HERE = socket.gethostname()


# PID is the number of this process: in a name of a test it would be another in each
@pytest.mark.parametrize(('note', 'error', 'is_alive'), [
    ('process PID on HERE\n', None, True), ('process 5 on HERE', PermissionError, True),
    ('process 5 on HERE', ProcessLookupError, False), ('process PID on elsewhere.HERE', None, False),
    ('process five on HERE', None, False), ('process PID', None, False), ('', None, False), (None, None, False),
])  # fmt: skip
def test_whether_the_process_that_noted_itself_lives(note, error, is_alive, tmp_path, monkeypatch):
    """It decides how long one waits for its folder."""
    if note is not None:
        (tmp_path / 'note.txt').write_text(note.replace('PID', str(os.getpid())).replace('HERE', HERE))

    def kill(number: int, sign: int) -> None:
        assert (number in (5, os.getpid()), sign) == (True, 0)
        if error:
            raise error

    monkeypatch.setattr(os, 'kill', kill)
    assert work_dir._is_alive(tmp_path / 'note.txt') is is_alive
