"""Work on many items, shared among processes: most of it holds Python's lock, so that threads would not help."""

import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import wait
from typing import TypeVar

from swin_mmdet.errors import UserError
from swin_mmdet.progress import with_progress

Item = TypeVar('Item')
Result = TypeVar('Result')
# starting processes takes longer than fewer items
FEW = 200
PIECE = 100
# more than processors, for disks of a network let each wait; not more than a server's other users like
FEWEST, MOST = 4, 16


def in_processes(
    work: Callable[[Item], Result], items: Sequence[Item], what: str, *, few: int = FEW
) -> Iterator[Result]:
    """`work(item)` of each, in order, with progress; `work` and `items` are inherited, results are pickled.

    In this process where there are few items, or where processes cannot be forked.

    what: is done, for the progress: 'headers read'

    Raises:
        UserError: a process was killed.
    """
    if len(items) < few or not _can_fork():
        yield from with_progress(map(work, items), len(items), what)
        return
    yield from with_progress(_forked(work, items), len(items), what)


def processors() -> int:
    """That this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, 'sched_getaffinity') else os.cpu_count() or 1


def _can_fork() -> bool:
    # frameworks of macOS do not survive it
    is_there = sys.platform != 'darwin' and 'fork' in multiprocessing.get_all_start_methods()
    return is_there and not multiprocessing.current_process().daemon


def _forked(work: Callable[[Item], Result], items: Sequence[Item]) -> Iterator[Result]:
    starts = range(0, len(items), PIECE)
    number = min(max(processors(), FEWEST), MOST, len(starts))
    context = multiprocessing.get_context('fork')
    pool = ProcessPoolExecutor(number, context, initializer=_begin, initargs=(work, items))
    try:
        with warnings.catch_warnings():
            # of forking where threads are: these processes use nothing that a thread could hold
            warnings.simplefilter('ignore', DeprecationWarning)
            pieces = pool.map(_piece, starts)
        for results in pieces:
            yield from results
    except BrokenProcessPool as error:
        raise UserError(
            'a process of the check of data was killed, as it happens where memory ends: check headers alone '
            '(--quick, --quick-check of train), or on a machine with more memory'
        ) from error
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


# what a process works on, inherited from its parent
_work: Callable = iter
_items: Sequence = ()


def _begin(work: Callable, items: Sequence) -> None:
    global _work, _items
    _work, _items = work, items
    # the parent ends them; what it does at a signal is not theirs
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        wait([parent.sentinel])
    os._exit(1)


def _piece(start: int) -> list:
    return [_work(item) for item in _items[start : start + PIECE]]
