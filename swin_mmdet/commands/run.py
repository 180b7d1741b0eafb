"""How a program ends: its exit code, and one sentence for a mistake of its user."""

import logging
import os
import sys
from collections.abc import Callable
from typing import NoReturn
from urllib.error import URLError

from swin_mmdet.early_lines import keep_library_warnings
from swin_mmdet.errors import UserError

USER_ERROR, INTERRUPTED = 2, 130


def run_cli(main: Callable[[], int | None]) -> NoReturn:
    """Run a program and exit: code 2 and one message for a user's mistake, a traceback for anything else."""
    keep_library_warnings()
    try:
        code = _code_of(main)
        dist = sys.modules.get('torch.distributed')
        if dist and dist.is_available() and dist.is_initialized():
            # the first process to leave would cut off the others in their last messages
            dist.barrier()
            dist.destroy_process_group()
            leave_at_once(code or 0)
    except UserError as error:
        print(f'error: {error}', file=sys.stderr)
        code = USER_ERROR
    except URLError as error:
        print(f'error: a download failed ({error}); give a local file instead of the URL', file=sys.stderr)
        code = USER_ERROR
    except KeyboardInterrupt:
        # a training that has begun answers it itself: see StopHook
        print('interrupted', file=sys.stderr)
        code = INTERRUPTED
    sys.exit(code)


def _code_of(main: Callable[[], int | None]) -> int | None:
    """What it returns, or the number with which it exits itself, as a training does that a signal has stopped."""
    try:
        return main()
    except SystemExit as exit:
        if not isinstance(exit.code, int):
            raise
        return exit.code


def leave_at_once(code: int) -> NoReturn:
    """Exit without the interpreter's end, where a thread of gloo that is still there aborts a run that has finished."""
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
