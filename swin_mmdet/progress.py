"""How far long work on many items has come: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

Item = TypeVar('Item')
# nothing is said of work that is done sooner; lines come as often
SOON, SECONDS = 1.0, 10.0


def with_progress(
    items: Iterable[Item], total: int, what: str, say: Callable[[str], object] | None = None
) -> Iterator[Item]:
    """The items, one after the other.

    what: is done with them, such as 'headers read'
    say: takes a line where there is no terminal; the log of the run, or the console, by default
    """
    if sys.stderr.isatty():
        from tqdm import tqdm

        # shows the time that is left and how many it does a second
        yield from tqdm(items, what, total, unit='', leave=False, dynamic_ncols=True, delay=SOON)
    else:
        yield from _with_lines(items, total, what, say or _log)


def _with_lines(items: Iterable[Item], total: int, what: str, say: Callable[[str], object]) -> Iterator[Item]:
    start = said = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said > SECONDS:
            said, left = now, (now - start) / number * (total - number)
            say(f'{what}: {number} of {total}, {number / (now - start):.0f}/s, {left:.0f} s left')


def _log(line: str) -> None:
    from mmengine.logging import print_log

    print_log(line, 'current')
