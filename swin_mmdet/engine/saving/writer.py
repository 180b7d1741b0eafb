"""Writes checkpoints, one at a time, while training goes on or at once; a failure is told and leaves the old file."""

import shutil
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from threading import Thread

import torch
from mmengine.logging import MMLogger

from swin_mmdet.checkpoint.damage import non_finite
from swin_mmdet.engine.saving.state import on_host
from swin_mmdet.engine.saving.whole_file import whole_file


class CheckpointWriter:
    """Writes `.pth` files of `torch.save` as a whole.

    Args:
        background: copy the state, and write it in a thread; else write it before `write` returns.
    """

    def __init__(self, background: bool = True) -> None:
        self.background = background
        self._thread: Thread | None = None
        self._written = True

    def write(self, state: dict, path: str | Path, then: Callable[[], None] | None = None) -> None:
        """Write a checkpoint after the one before is done, and call `then` when it is on the disk.

        One with NaN or infinity in it is not written: it would take the place of a good one.
        """
        self.wait()
        log = MMLogger.get_current_instance()
        if not self.background:
            self._write(state, Path(path), then, log)
            return
        # not a daemon: a process that ends by itself waits for it
        self._thread = Thread(target=self._write, args=(on_host(state), Path(path), then, log), name='checkpoint')
        self._thread.start()

    @property
    def is_writing(self) -> bool:
        return self._thread is not None and self._thread.is_alive()

    def wait(self) -> bool:
        """Until nothing is being written; whether the last one was."""
        if self._thread:
            self._thread.join()
            self._thread = None
        return self._written

    def _write(self, state: dict, path: Path, then: Callable[[], None] | None, log: MMLogger) -> None:
        self._written = False
        if name := non_finite(state):
            log.error(f'{path} is not written: {name} holds NaN or infinity; the checkpoint before it stays')
            return
        try:
            with whole_file(path) as beside:
                torch.save(state, beside)
            if then:
                then()
            self._written = True
        # PyTorch's writer raises RuntimeError for a full disk
        except (OSError, RuntimeError) as error:
            log.error(f'{path} could not be written ({_reason(error, path)}); the checkpoint before it stays, training '
                      'goes on and tries again at the next one')  # fmt: skip


def _reason(error: Exception, path: Path) -> str:
    # the rest of PyTorch's are frames of C++, and none of its lines speaks of the disk
    text = f'{type(error).__name__}: {str(error).splitlines()[0] if str(error) else ""}'
    with suppress(OSError):
        text += f'; {shutil.disk_usage(path.parent).free / 2**20:.0f} MiB of the disk are free without it'
    return text
