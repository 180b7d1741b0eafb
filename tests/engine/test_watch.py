"""Who is lost, by the notes that processes leave: one process here, and the notes of another by hand."""

import json
import os
import socket
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import torch.distributed as dist

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmengine.dataset import BaseDataset, ConcatDataset

from swin_mmdet.engine.guards import lost_process_hook
from swin_mmdet.engine.guards.lost_process_hook import LostProcessHook, Watch, check_same_data, lost_process_named
from swin_mmdet.errors import UserError

BEAT = 0.01


@pytest.fixture(scope='module')
def notes() -> Iterator[dist.Store]:
    """What the processes of a group of one have noted, and the others that a test makes up."""
    store = dist.TCPStore('localhost', 0, 1, is_master=True, timeout=timedelta(seconds=20))
    dist.init_process_group('gloo', store=store, rank=0, world_size=1)
    yield dist.PrefixStore('swin_mmdet watch', dist.distributed_c10d._get_default_store())
    dist.destroy_process_group()


@pytest.fixture
def watch(notes: dist.Store, monkeypatch: pytest.MonkeyPatch) -> Watch:
    """Of process 0 of two, in iteration 5; process 1 has left no note."""
    monkeypatch.setattr(lost_process_hook, 'SURE', 0.25)
    watch = Watch(timeout=100, beat=BEAT)
    assert (watch.rank, watch.size, watch.daemon) == (0, 1, True)
    watch.size = 2
    watch.step(5)
    notes.delete_key('1')
    return watch


def note(notes: dist.Store, iteration: int, count: int = 1) -> None:
    """By process 1, as `Watch` writes it."""
    notes.set('1', json.dumps(dict(iteration=iteration, count=count, pid=77, host='there')))


@contextmanager
def living(notes: dist.Store, iteration: int) -> Iterator[None]:
    """Process 1 notes again and again that it lives, in that iteration."""
    done = threading.Event()

    def write() -> None:
        count = 1
        while not done.wait(BEAT):
            count += 1
            note(notes, iteration, count)

    note(notes, iteration)
    thread = threading.Thread(target=write)
    thread.start()
    yield
    done.set()
    thread.join()


def test_one_that_never_began(watch: Watch):
    words = 'does not answer (killed, frozen, or its machine is lost)'
    assert watch.lost() == f'process 1, which never began to train, {words}'


def test_one_whose_notes_stand_still(watch: Watch, notes: dist.Store):
    note(notes, 5)
    begin = time.monotonic()
    who = 'process 1 (there, pid 77; its last whole step was iteration 5)'
    assert watch.lost() == f'{who} does not answer (killed, frozen, or its machine is lost)'
    assert time.monotonic() - begin >= 0.25


def test_one_that_lives_and_is_behind(watch: Watch, notes: dist.Store):
    with living(notes, 4):
        assert watch.lost() == 'process 1 (there, pid 77; its last whole step was iteration 4) is stuck'


@pytest.mark.parametrize('iteration', [5, 6])
def test_one_that_lives_and_is_as_far(watch: Watch, notes: dist.Store, iteration: int):
    with living(notes, iteration):
        assert watch.lost() is None


def test_all_that_are_lost_are_named(watch: Watch):
    watch.size = 3
    assert [part.split(',')[0] for part in watch.lost().split('; ')] == ['process 1', 'process 2']


def test_a_store_that_is_gone(watch: Watch, monkeypatch: pytest.MonkeyPatch):
    def fails() -> None:
        raise RuntimeError('Connection reset by peer')

    monkeypatch.setattr(watch, '_notes', fails)
    assert watch.lost() == 'process 0, which holds the store of the group, does not answer'


def test_a_note_says_who_and_where(watch: Watch, notes: dist.Store):
    watch._note()
    watch._note()
    found = json.loads(notes.get('0'))
    assert found == dict(iteration=5, count=2, pid=os.getpid(), host=socket.gethostname())
    assert watch._notes() == {0: found}


class Ended(BaseException):
    """In the place of the end of this process."""


@pytest.fixture
def ended(monkeypatch: pytest.MonkeyPatch) -> None:
    def end(code: int) -> None:
        raise Ended(code)

    monkeypatch.setattr(os, '_exit', end)


@pytest.mark.usefixtures('ended')
@pytest.mark.parametrize(('who', 'waited', 'ends'), [
    ('process 1 is stuck', 99, False), ('process 1 is stuck', 101, True), (None, 199, False), (None, 201, True),
])  # fmt: skip
def test_the_end_when_one_is_lost_or_after_twice_the_time(watch, monkeypatch, capsys, who, waited, ends):
    monkeypatch.setattr(watch, 'lost', lambda: who)
    watch._moved = time.monotonic() - waited
    if not ends:
        watch._end()
        assert capsys.readouterr().err == ''
        return
    with pytest.raises(Ended, match=r'^1$'):
        watch._end()
    assert capsys.readouterr().err == (
        f'error: {who or "no process is behind: all of them wait"}. Process 0 has waited 100 s in iteration 6; the run '
        'ends here, --resume goes on from its last checkpoint\n'
    )


@pytest.mark.usefixtures('ended')
def test_a_training_that_is_done_or_pauses_does_not_end(watch: Watch, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(watch, 'lost', lambda: 'process 1 is stuck')
    watch.pause()
    watch._end()
    watch._moved = time.monotonic() - 1000
    watch.stop()
    watch._end()


@pytest.mark.usefixtures('notes')
def test_a_watch_that_runs_notes_steps_at_once_and_stops():
    watch = Watch(timeout=100, beat=50)
    watch.start()
    watch.step(3)
    end = time.monotonic() + 20
    while watch._notes().get(0, {}).get('iteration') != 3 and time.monotonic() < end:
        time.sleep(0.01)
    assert watch._notes()[0]['iteration'] == 3
    watch.stop()
    watch.join(20)
    assert not watch.is_alive()


def test_a_hook_beats_four_times_within_its_timeout_and_watches_no_process_alone():
    assert (LostProcessHook().timeout, LostProcessHook().beat, LostProcessHook(8).beat) == (600, 5, 2)
    hook = LostProcessHook()
    hook.before_train(SimpleNamespace(world_size=1))
    for call in (hook.before_train_iter, hook.before_val, hook.after_train):
        call(SimpleNamespace(iter=1))
    assert hook.lost() is None


@pytest.mark.parametrize(('error', 'reason'), [
    (RuntimeError('\n Connection closed\nframes of C++'), 'Connection closed'), (RuntimeError(' '), 'RuntimeError'),
    (dist.DistBackendError('NCCL'), 'NCCL'),
])  # fmt: skip
def test_an_error_of_a_collective_operation_names_the_lost(error, reason):
    hook = LostProcessHook()
    hook._watch = SimpleNamespace(lost=lambda: 'process 1 is stuck')
    runner = SimpleNamespace(hooks=[object(), hook], iter=6)
    said = f'process 1 is stuck. The run ends in iteration 7, --resume goes on from its last checkpoint ({reason})'
    with pytest.raises(UserError) as raised, lost_process_named(runner):
        raise error
    assert str(raised.value) == said


@pytest.mark.parametrize(('error', 'who', 'hooks'), [
    (torch.OutOfMemoryError('memory'), 'process 1', 1), (RuntimeError('mine'), None, 1), (RuntimeError('mine'), 'x', 0),
    (ValueError('mine'), 'process 1', 1),
])  # fmt: skip
def test_another_error_stays(error, who, hooks):
    hook = LostProcessHook()
    hook._watch = SimpleNamespace(lost=lambda: who)
    runner = SimpleNamespace(hooks=[hook][:hooks], iter=0)
    with pytest.raises(type(error), match=str(error)), lost_process_named(runner):
        raise error


class Data(BaseDataset):
    def load_data_list(self) -> list[dict]:
        return [dict(number=number) for number in range(5)]


@pytest.mark.parametrize(('images', 'annotations', 'words'), [
    (10, 'same', None), (9, 'same', '9 images, not 10; give'),
    (10, 'other', '10 images, not 10, or other annotations; give'),
])  # fmt: skip
def test_all_train_on_the_data_of_the_first(monkeypatch, images, annotations, words):
    dataset = ConcatDataset([Data(), Data()])

    def gathered(mine: tuple) -> list[tuple]:
        count, sums = mine
        assert (count, sums) == (10, [zlib.crc32(np.asarray(one.data_bytes).tobytes()) for one in dataset.datasets])
        return [mine, mine, (images, sums if annotations == 'same' else sums[::-1] + [1])]

    monkeypatch.setattr(lost_process_hook, 'all_gather_object', gathered)
    runner = SimpleNamespace(train_dataloader=SimpleNamespace(dataset=dataset))
    if words is None:
        check_same_data(runner)
        return
    with pytest.raises(UserError) as raised:
        check_same_data(runner)
    said = f'process 2 has other training data than process 0: {words} every machine the same files'
    assert str(raised.value) == said
