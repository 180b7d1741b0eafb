"""What an operation chose and why, said once in every log, without a line for every call."""

import logging
import sys
from collections.abc import Callable

import torch
import torch.distributed as dist

LOGGER = logging.getLogger('swin_mmdet')
# what was said, and in which run's log (None: in no run's)
_LOGGED: set[tuple[logging.Logger | None, str]] = set()


class OnePlace(logging.Filter):
    """Sends each line to one place: the log of a run, else the handlers that the program has set up, else stderr.

    Attributes:
        run_log: the log that a framework's runner writes at present, None without one; `swin_mmdet.run_log` sets it.
    """

    run_log: Callable[[], logging.Logger | None] = staticmethod(lambda: None)

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it is left to Python's handlers."""
        log = self.run_log()
        if log is not None:
            log.handle(record)
            return False
        if dist.is_available() and dist.is_initialized() and dist.get_rank():
            return False  # the first process says the same
        if not LOGGER.hasHandlers():
            print(f'{record.name}: {record.getMessage()}', file=sys.stderr)
            return False
        return True


ONE_PLACE = OnePlace()
LOGGER.addFilter(ONE_PLACE)
if LOGGER.level == logging.NOTSET:  # else the program has said how much it wants to read
    LOGGER.setLevel(logging.INFO)


def log_once(message: str) -> None:
    """To the logger of this package; each message once in the log of each run, and once outside of runs."""
    # torch.compile cannot trace logging
    if torch.compiler.is_compiling():
        return
    said = ONE_PLACE.run_log(), message
    if said not in _LOGGED:
        _LOGGED.add(said)
        LOGGER.info(message)
