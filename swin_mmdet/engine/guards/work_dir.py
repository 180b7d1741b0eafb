"""The folder of a run: that it can be written, has room, and is of no other run."""

import os
import shutil
import socket
from pathlib import Path

from filelock import FileLock, Timeout
from mmengine.dist import broadcast_object_list, is_main_process
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from swin_mmdet.engine.saving.whole_file import write_text
from swin_mmdet.errors import UserError
from swin_mmdet.registry import HOOKS

LOCK = '.training.lock'
# seconds until workers of a killed run, which hold its lock, have noticed
PATIENCE = 15
# moments of Adam beside the weights
COPIES = 3


def check_work_dir(path: str | Path, goes_on: bool = False, overwrite: bool = False) -> None:
    """Before anything is written.

    Args:
        path: of the folder, which need not be there yet.
        goes_on: the run is resumed.
        overwrite: what another run has left there may be replaced.

    Raises:
        UserError: it is no folder, cannot be written, or has checkpoints of another run.
    """
    path = Path(path)
    if path.exists() and not path.is_dir():
        raise UserError(f'work-dir {path} is a file; give a folder (--work-dir)')
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f'.write-test.{os.getpid()}'
        # a full disk takes a name, but no content
        probe.write_bytes(bytes(4096))
        probe.unlink()
    except OSError as error:
        raise UserError(f'work-dir {path} cannot be written ({error.strerror}); give another (--work-dir)') from error
    if not goes_on and not overwrite and (problem := _of_another_run(path)):
        raise UserError(problem)


def _checkpoints(path: Path, *patterns: str) -> list[Path]:
    return sorted(one for pattern in ('epoch_*.pth', 'iter_*.pth', *patterns) for one in path.glob(pattern))


def _of_another_run(path: Path) -> str | None:
    saved = _checkpoints(path)
    if not saved:
        return None
    return (
        f'work-dir {path} has {len(saved)} checkpoints of another run, such as {saved[-1].name}: go on from there with '
        '--resume, give another --work-dir, or remove them with --overwrite'
    )


@HOOKS.register_module()
class WorkDirHook(Hook):
    """Holds the work-dir for one training at a time, and warns where there is no room for its checkpoints.

    Args:
        overwrite: remove the checkpoints that another run has left there, among which this one could not be resumed;
            without it they are a reason not to begin.
    """

    priority = 'VERY_HIGH'

    def __init__(self, overwrite: bool = False) -> None:
        self.overwrite = overwrite
        self._lock: FileLock | None = None

    def before_run(self, runner: Runner) -> None:
        # a test of the same config has the settings of one
        if not isinstance(runner._train_loop, BaseLoop):
            return
        problem = [self._take(runner) if is_main_process() else None]
        broadcast_object_list(problem)
        if problem[0]:
            self.close()
            raise UserError(problem[0])

    def _take(self, runner: Runner) -> str | None:
        """Take the folder; or say who has it."""
        path, goes_on = Path(runner.work_dir, LOCK), runner._resume
        noted = path.with_suffix('.txt')
        # of the kernel: it is free when all processes of a run have ended, in whatever way
        self._lock = FileLock(path)
        try:
            self._lock.acquire(timeout=0 if _is_alive(noted) else PATIENCE)
        except Timeout:
            who = f' ({noted.read_text().strip()})' if noted.exists() else ''
            return f'another training runs in {path.parent}{who}: end it, or give another --work-dir'
        except NotImplementedError:
            # of some network file systems
            runner.logger.warning(f'{path.parent} is on a disk without locks: a second run in it will not be refused')
        except OSError as error:
            return f'{path} cannot be locked ({error.strerror}): remove it, or give another --work-dir'
        write_text(noted, f'process {os.getpid()} on {socket.gethostname()}\n')
        if self.overwrite and not goes_on:
            for old in _checkpoints(path.parent, 'best_*.pth', 'last_checkpoint'):
                old.unlink()
        return None if goes_on else _of_another_run(path.parent)

    def before_train(self, runner: Runner) -> None:
        if not is_main_process():
            return
        size, free = checkpoint_size(runner), shutil.disk_usage(runner.work_dir).free
        if free < 2 * size:
            runner.logger.warning(
                f'{runner.work_dir} has {free / 2**30:.1f} GiB left; two checkpoints, one of them being written, take '
                f'about {2 * size / 2**30:.1f} GiB'
            )

    def after_run(self, runner: Runner) -> None:
        del runner
        self.close()

    def close(self) -> None:
        """Leave the folder to others; also after a run that failed."""
        if self._lock:
            self._lock.release()


def checkpoint_size(runner: Runner) -> int:
    """About how many bytes one takes: the weights, and the memory of an optimizer such as Adam."""
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    buffers = sum(one.nbytes for one in model.buffers())
    return buffers + sum(one.nbytes * (COPIES if one.requires_grad else 1) for one in model.parameters())


def _is_alive(noted: Path) -> bool:
    """Whether the process that noted itself there runs on this machine."""
    words = noted.read_text().split() if noted.exists() else []
    if len(words) != 4 or words[3] != socket.gethostname():
        return False
    try:
        os.kill(int(words[1]), 0)
    except (ProcessLookupError, ValueError):
        return False
    except PermissionError:
        pass
    return True
