"""How far a long look at many files has come: a bar on a terminal, a line now and then elsewhere."""

import sys
import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

from mmengine.logging import print_log

Item = TypeVar('Item')
# fewer are done before anybody asks
MANY = 2000
SECONDS = 10


def with_progress(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    """The items, one after the other."""
    if total < MANY:
        yield from items
    elif sys.stderr.isatty():
        from tqdm import tqdm

        yield from tqdm(items, what, total, unit='', leave=False, dynamic_ncols=True)
    else:
        yield from _with_lines(items, total, what)


def _with_lines(items: Iterable[Item], total: int, what: str) -> Iterator[Item]:
    start = said = time.monotonic()
    for number, item in enumerate(items, 1):
        yield item
        now = time.monotonic()
        if now - said > SECONDS:
            said, left = now, (now - start) / number * (total - number)
            print_log(f'{what}: {number} of {total}, {number / (now - start):.0f}/s, {left:.0f} s left', 'current')
