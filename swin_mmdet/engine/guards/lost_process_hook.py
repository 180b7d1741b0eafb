"""A process that is killed, frozen or stuck ends a run of several within a time, and is named.

The others wait for it in a collective operation that says nothing: for minutes or for ever, and then in frames of C++.
"""

import json
import os
import re
import socket
import sys
import threading
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager

import torch
import torch.distributed as dist
from mmengine.dataset import BaseDataset
from mmengine.dist import all_gather_object
from mmengine.hooks import Hook
from mmengine.runner import Runner

from swin_mmdet.engine.guards.broken_images import leaves
from swin_mmdet.errors import UserError
from swin_mmdet.registry import HOOKS

LOST = 1
SURE = 2.0
WORKER = re.compile(r'DataLoader worker \(pid')


@HOOKS.register_module()
class LostProcessHook(Hook):
    """Every process notes its last step beside the others' in the store of the process group; who waits looks there.

    Args:
        timeout: seconds without a step of the training after which a run ends.
        beat: seconds between two notes.
    """

    priority = 'VERY_HIGH'

    def __init__(self, timeout: float = 600, beat: float = 5) -> None:
        self.timeout, self.beat = timeout, min(beat, timeout / 4)
        self._watch: Watch | None = None

    def before_train(self, runner: Runner) -> None:
        if runner.world_size == 1:
            return
        check_same_data(runner)
        self._watch = Watch(self.timeout, self.beat)
        self._watch.start()

    def before_train_iter(self, runner: Runner, *_, **__) -> None:
        if self._watch:
            self._watch.step(runner.iter)

    def before_val(self, runner: Runner) -> None:
        del runner
        if self._watch:
            # an evaluation takes as long as it takes
            self._watch.pause()

    def after_train(self, runner: Runner) -> None:
        del runner
        self.close()

    def close(self) -> None:
        """The end of the training is no end of a process that the others wait for; also of one that failed."""
        if self._watch:
            self._watch.stop()

    def lost(self) -> str | None:
        """After an error of a collective operation: whose end was its reason, in words."""
        return self._watch.lost() if self._watch else None


@contextmanager
def lost_process_named(runner: Runner) -> Iterator[None]:
    """An error of a collective operation becomes a sentence about the process whose end was its reason.

    So does that of a worker of a loader, which PyTorch raises wherever the training happens to be.
    """
    try:
        yield
    # gloo raises the first, NCCL the second
    except (RuntimeError, dist.DistError) as error:
        if WORKER.match(str(error)):
            raise UserError(
                f'{" ".join(str(error).split()).rstrip(".")}. It read images for the training: too little memory of '
                'the host, or of /dev/shm, is the usual reason; fewer --workers need less. The run ends in iteration '
                f'{runner.iter + 1}, --resume goes on from its last checkpoint'
            ) from error
        watch = next((hook for hook in runner.hooks if isinstance(hook, LostProcessHook)), None)
        if isinstance(error, torch.OutOfMemoryError) or watch is None or not (who := watch.lost()):
            raise
        reason = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f'{who}. The run ends in iteration {runner.iter + 1}, --resume goes on from its last checkpoint ({reason})'
        ) from error


class Watch(threading.Thread):
    """Notes that this process lives, and where it is; ends it when its training has not moved for a time."""

    def __init__(self, timeout: float, beat: float) -> None:
        super().__init__(daemon=True, name='watch')
        self.timeout, self.beat = timeout, beat
        self.rank, self.size = dist.get_rank(), dist.get_world_size()
        # with a connection of its own: the training waits in the other
        self._store = dist.PrefixStore('swin_mmdet watch', dist.distributed_c10d._get_default_store().clone())
        self._done, self._woken, self._count = threading.Event(), threading.Event(), 0
        self._iteration, self._moved = 0, time.monotonic()

    def step(self, iteration: int) -> None:
        self._iteration, self._moved = iteration, time.monotonic()
        # noted at once, as it may be the last
        self._woken.set()

    def pause(self) -> None:
        self._moved = float('inf')

    def stop(self) -> None:
        self._done.set()
        self._woken.set()

    def run(self) -> None:
        while not self._done.is_set():
            self._woken.wait(self.beat)
            self._woken.clear()
            try:
                self._note()
            except (RuntimeError, OSError):
                # with the store's process everything ends
                return
            if time.monotonic() - self._moved > self.timeout:
                self._end()

    def _note(self) -> None:
        self._count += 1
        note = dict(iteration=self._iteration, count=self._count, pid=os.getpid(), host=socket.gethostname())
        self._store.set(str(self.rank), json.dumps(note))

    def _notes(self) -> dict[int, dict]:
        ranks = [rank for rank in range(self.size) if self._store.check([str(rank)])]
        return {rank: json.loads(self._store.get(str(rank))) for rank in ranks}

    def lost(self) -> str | None:
        """Those whose notes stand still, or else those that are behind; None if there are none."""
        try:
            before = self._notes()
            # longer than a note takes on a machine that is busy
            end = time.monotonic() + max(2.5 * self.beat, SURE)
            while time.monotonic() < end:
                # the others may be looking, too
                self._note()
                time.sleep(self.beat)
            after = self._notes()
        except (RuntimeError, OSError):
            return 'process 0, which holds the store of the group, does not answer'
        others = [rank for rank in range(self.size) if rank != self.rank]
        still = [rank for rank in others if after.get(rank, {}).get('count') == before.get(rank, {}).get('count')]
        behind = [rank for rank in others if after.get(rank, {}).get('iteration', 0) < self._iteration]
        if not still and not behind:
            return None
        what = 'does not answer (killed, frozen, or its machine is lost)' if still else 'is stuck'
        return '; '.join(f'{_named(rank, after.get(rank))} {what}' for rank in still or behind)

    def _end(self) -> None:
        who, waited = self.lost(), time.monotonic() - self._moved
        # where none is lost, this one may be the one that is waited for: the others have the first word
        if self._done.is_set() or waited <= self.timeout * (1 if who else 2):
            return
        who = who or 'no process is behind: all of them wait'
        print(
            f'error: {who}. Process {self.rank} has waited {self.timeout:g} s in iteration {self._iteration + 1}; '
            'the run ends here, --resume goes on from its last checkpoint',
            file=sys.stderr,
            flush=True,
        )
        # the training's thread waits where no exception reaches it
        os._exit(LOST)


def _named(rank: int, note: dict | None) -> str:
    if note is None:
        return f'process {rank}, which never began to train,'
    return f'process {rank} ({note["host"]}, pid {note["pid"]}; its last whole step was iteration {note["iteration"]})'


def check_same_data(runner: Runner) -> None:
    """All processes train on the same data, as each takes its share of them.

    Raises:
        UserError: one has others than the first; it is named.
    """
    dataset = runner.train_dataloader.dataset
    packed = [leaf.data_bytes for leaf in leaves(dataset) if isinstance(leaf, BaseDataset) and leaf.serialize_data]
    mine = len(dataset), [zlib.crc32(one) for one in packed]
    for rank, other in enumerate(theirs := all_gather_object(mine)):
        if other != theirs[0]:
            raise UserError(
                f'process {rank} has other training data than process 0: {other[0]} images, not {theirs[0][0]}'
                + (', or other annotations' if other[0] == theirs[0][0] else '')
                + '; give every machine the same files'
            )
