"""A bar at the foot of a terminal for training and evaluation, below the lines of the log, which stay as they are."""

import logging
import sys
from typing import Any, TextIO

from mmengine.dist import is_main_process
from mmengine.hooks import Hook
from mmengine.runner import Runner
from tqdm import tqdm

# seconds: evaluations that are done sooner have no bar
SOON = 1.0
# seconds between two drawings
INTERVAL = 0.1


class ProgressHook(Hook):
    """Time that is left and images a second, of the whole training and of each evaluation.

    Where the console is no terminal, the lines of the log tell the same, and nothing is drawn.
    """

    priority = 'VERY_LOW'

    def __init__(self, console: TextIO | None = None) -> None:
        self.console = console or sys.stderr
        self.training: tqdm | None = None
        self.evaluation: tqdm | None = None
        self.handlers: list[tuple[logging.Handler, logging.Filter]] = []

    def before_train(self, runner: Runner) -> None:
        """The bar begins where a resumed training goes on."""
        self.training = self._bar(runner, 'training', runner.max_iters, runner.iter, 0.0)

    def after_train_iter(self, _: Runner, data_batch: object = None, **__: Any) -> None:
        """A step more."""
        if self.training is not None:
            self.training.set_postfix_str(self._rate(self.training, data_batch), refresh=False)
            self.training.update()

    def after_train(self, _: Runner) -> None:
        """The last line of the console is one of the log."""
        self.close()

    def before_val_epoch(self, runner: Runner) -> None:
        """Of this evaluation."""
        self.evaluation = self._bar(runner, 'evaluation', len(runner.val_dataloader), 0, SOON)

    def before_test_epoch(self, runner: Runner) -> None:
        """Of this evaluation."""
        self.evaluation = self._bar(runner, 'evaluation', len(runner.test_dataloader), 0, SOON)

    def after_val_iter(self, _: Runner, data_batch: object = None, **__: Any) -> None:
        """Images more."""
        if self.evaluation is not None:
            self.evaluation.set_postfix_str(self._rate(self.evaluation, data_batch), refresh=False)
            self.evaluation.update()

    after_test_iter = after_val_iter

    def after_val_epoch(self, _: Runner, **__: Any) -> None:
        """The bar goes, the results are in the log."""
        if self.evaluation is not None:
            self.evaluation.close()
            self.evaluation = None
        if self.training is None:
            self.close()

    after_test_epoch = after_val_epoch

    def close(self) -> None:
        """Also after a training that fails."""
        for bar in (self.evaluation, self.training):
            if bar is not None:
                bar.close()
        self.evaluation = self.training = None
        for handler, clear in self.handlers:
            handler.removeFilter(clear)
        self.handlers.clear()

    def _bar(self, runner: Runner, what: str, total: int, done: int, delay: float) -> tqdm | None:
        if not is_main_process() or not self.console.isatty():
            return None
        if not self.handlers:
            for handler in runner.logger.handlers:
                if isinstance(handler, logging.StreamHandler) and not isinstance(handler, logging.FileHandler):
                    clear = ClearsBars()
                    # after what else leaves lines out
                    handler.addFilter(clear)
                    self.handlers.append((handler, clear))
        return tqdm(
            total=total, initial=done, desc=what, unit='it', file=self.console, leave=False, dynamic_ncols=True,
            delay=delay, mininterval=INTERVAL, position=0 if what == 'training' else int(self.training is not None),
        )  # fmt: skip

    def _rate(self, bar: tqdm, data_batch: object) -> str:
        rate = bar.format_dict['rate']
        images = len(data_batch.get('inputs', ())) if isinstance(data_batch, dict) else 1
        if not rate:
            elapsed = bar.format_dict['elapsed']
            rate = (bar.n - bar.initial) / elapsed if elapsed else 0
        return f'{rate * images:.1f} images/s'


class ClearsBars(logging.Filter):
    """Takes the bars away before a handler writes a line; the next step draws them again."""

    def filter(self, _: logging.LogRecord) -> bool:
        for bar in list(tqdm._instances):
            bar.clear()
        return True
