"""Processes that read images for a training: they outlast a signal that it answers, but never the training itself."""

import atexit
import ctypes
import multiprocessing
import os
import signal
import sys
from collections.abc import Callable
from functools import partial
from types import FrameType

from torch.utils.data import DataLoader
from torch.utils.data.dataloader import _MultiProcessingDataLoaderIter

# of Linux's <sys/prctl.h>: the signal that a process gets when its parent has ended
PR_SET_PDEATHSIG = 1


def keep_workers(loader: DataLoader) -> None:
    """Let the workers that a loader will start read until this program ends them, or ends."""
    if getattr(loader.worker_init_fn, 'func', None) is not start_worker:
        loader.worker_init_fn = partial(start_worker, then=loader.worker_init_fn)
        atexit.unregister(_end_workers)
        atexit.register(_end_workers)


def end_workers(loader: object) -> None:
    """End the workers of a PyTorch loader that is not read any more; it starts others when it is read again.

    Whoever leaves that to Python's collector of garbage, as everything is that a runner holds, leaves workers behind:
    it takes away the queues first, by which they would be asked to end.
    """
    if isinstance(loader, DataLoader) and isinstance(loader._iterator, _MultiProcessingDataLoaderIter):
        iterator, loader._iterator = loader._iterator, None
        iterator._shutdown_workers()


def start_worker(worker: int, then: Callable[[int], None] | None) -> None:
    """A signal to all processes is the training's to answer, which needs the images of its last step."""
    _end_with_parent()
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGUSR1, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, _second_ends)
    if then:
        then(worker)


def _end_with_parent() -> None:
    """Also where that is killed.

    PyTorch's workers look for it themselves, but may then wait for ever to hand over what nobody takes; the connections
    that they have inherited keep the processes of a restarted run from each other.
    """
    parent = multiprocessing.parent_process()
    if sys.platform == 'linux' and parent is not None:
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent.pid:
            os._exit(1)


def _second_ends(number: int, _: FrameType | None) -> None:
    # PyTorch ends workers that hang in this way
    signal.signal(number, signal.SIG_DFL)


def _end_workers() -> None:
    """Before Python's own end of daemons, which asks once, and waits for workers that endure that."""
    # PyTorch's handler would call each end a failure
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    for process in multiprocessing.active_children():
        if process.daemon:
            process.kill()
