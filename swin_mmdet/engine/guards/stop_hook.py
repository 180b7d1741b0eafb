"""A signal ends a run after its step, with a checkpoint to go on from: Ctrl-C, a scheduler's end of time, `kill`."""

import os
import signal
import threading
import time
from datetime import timedelta
from types import FrameType

import torch
import torch.distributed as dist
from mmengine.hooks import Hook
from mmengine.runner import BaseLoop, EpochBasedTrainLoop, Runner

from swin_mmdet.engine.resuming.train_loops import EvaluationStopped, ResumableLoop
from swin_mmdet.engine.saving.checkpoint_hook import checkpoint_hook
from swin_mmdet.registry import HOOKS

# a terminal sends Ctrl-C to every process, and a launcher passes it on: within these seconds it is the same one
SAME = 2.0
# of a process that a signal has ended, as a shell sees it
ENDED_BY_SIGNAL = 128
# in the place of a signal's number: another hook asks for the end
ASKED = 1000


@HOOKS.register_module()
class StopHook(Hook):
    """Finishes the step, saves, says where and how to go on, and ends the run; a second signal ends it at once.

    All processes of a run stop after the same iteration, whichever of them got the signal. Needs
    `swin_mmdet.CheckpointHook`; with `swin_mmdet`'s loops a run also stops within an epoch or an evaluation.

    Args:
        signals: names of those that ask for the end.
        exit_code: 0, as after any run that did what it was asked to; or 'signal', 128 and the number of the signal,
            such as 143 for SIGTERM, for a program that has to know.
        timeout: seconds that a process waits for the others to agree.
    """

    priority = 'LOWEST'

    def __init__(
        self,
        signals: tuple[str, ...] = ('SIGTERM', 'SIGINT', 'SIGUSR1'),
        exit_code: int | str = 0,
        timeout: float = 600,
    ) -> None:
        if exit_code not in (0, 'signal'):
            raise ValueError(f"exit_code={exit_code!r} of StopHook: give 0 or 'signal'")
        self.signals = [getattr(signal, name) for name in signals]
        self.exit_code, self.timeout = exit_code, timeout
        self.stopped_by: int = 0
        self._asked, self._asked_at, self._at_epoch_end, self._why = 0, 0.0, 0, ''
        self._group: dist.ProcessGroup | None = None
        self._flag: tuple[torch.Tensor, dist.Work] | None = None
        self._before: dict = {}

    def before_run(self, runner: Runner) -> None:
        # a test of the same config has the settings of one
        if not isinstance(runner._train_loop, BaseLoop):
            return
        saver = checkpoint_hook(runner)
        if saver is None:
            raise ValueError('StopHook needs default_hooks.checkpoint.type=swin_mmdet.CheckpointHook')
        self._saver = saver
        self._process = os.getpid()
        # Python allows it there only
        if threading.current_thread() is threading.main_thread():
            self._before = {one: signal.signal(one, self._take) for one in self.signals}
        if runner.world_size > 1:
            # beside the one of the GPUs: agreeing costs them nothing
            self._group = dist.new_group(backend='gloo', timeout=timedelta(seconds=self.timeout))

    def _take(self, number: int, _: FrameType | None) -> None:
        if os.getpid() != self._process:
            return
        if self._asked and time.monotonic() - self._asked_at > SAME:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        if not self._asked:
            self._asked, self._asked_at = number, time.monotonic()

    def close(self) -> None:
        """Signals do again what they did before the run; also after one that failed."""
        for number, handler in self._before.items():
            signal.signal(number, handler)
        self._before = {}

    def ask(self, why: str) -> None:
        """End the run for another reason than a signal; that hook says after the run what it was."""
        self._asked, self._why = self._asked or ASKED, why

    def after_train_iter(self, runner: Runner, batch_idx: int, *_, **__) -> None:
        number = self._agreed()
        if not number or self.stopped_by:
            return
        by_epoch = isinstance(runner.train_loop, EpochBasedTrainLoop)
        if by_epoch and self.end_of_epoch(runner.train_dataloader, batch_idx):
            # schedules that count epochs take their step before it is saved
            self._at_epoch_end = number
        else:
            self._stop(runner, number, runner.epoch, runner.iter + 1)

    def after_train_epoch(self, runner: Runner) -> None:
        if self._at_epoch_end:
            self._stop(runner, self._at_epoch_end, runner.epoch + 1, runner.iter)

    def after_val_iter(self, runner: Runner, *_, **__) -> None:
        # several processes finish it: they may have different numbers of images left
        if self._asked and self._group is None and isinstance(runner.train_loop, ResumableLoop):
            runner.train_loop.stop_training = True
            raise EvaluationStopped

    def after_train(self, runner: Runner) -> None:
        if self._flag:
            self._flag[1].wait()
        if self._asked and not self.stopped_by and runner.train_loop.stop_training:
            self._stop(runner, self._asked, runner.epoch, runner.iter, evaluates=True)

    def after_run(self, runner: Runner) -> None:
        del runner
        self.close()
        if self.stopped_by in self.signals and self.exit_code == 'signal':
            raise SystemExit(ENDED_BY_SIGNAL + self.stopped_by)

    def _agreed(self) -> int:
        """The signal that some process got, in the same iteration for all of them: what was known one before."""
        if self._group is None:
            return self._asked
        before, flag = self._flag, torch.tensor([self._asked])
        self._flag = flag, dist.all_reduce(flag, dist.ReduceOp.MAX, self._group, async_op=True)
        if before is None:
            return 0
        before[1].wait()
        return int(before[0])

    def _stop(self, runner: Runner, number: int, epoch: int, iteration: int, evaluates: bool = False) -> None:
        if iteration >= runner.max_iters and not evaluates:
            return
        path = self._saver.save_now(runner, epoch, iteration, evaluates)
        runner.train_loop.stop_training = True
        self.stopped_by = number
        saved = f'saved to {path}; --resume goes on from there' if path else 'it could not be saved'
        why = signal.Signals(number).name if number != ASKED else self._why or 'another process'
        runner.logger.info(f'{why}: stopped after iteration {iteration}, {saved}')


def stop_hook(runner: Runner) -> StopHook | None:
    return next((hook for hook in runner.hooks if isinstance(hook, StopHook)), None)
