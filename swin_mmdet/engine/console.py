"""What a person reads while a detector is trained or tested; the file of the log has everything.

mmengine's console begins with hundreds of lines of environment, config, hooks and parameter groups.
"""

import io
import logging
import platform
import sys
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, redirect_stdout, suppress
from importlib.metadata import PackageNotFoundError, version

import torch
from mmengine.logging import MMLogger
from torch.optim import Optimizer

from swin_mmdet.early_lines import EARLY_LINES

# `extra` of a line that the console leaves out
FILE_ONLY = {'file_only': True}
# how the lines of mmengine begin that the console leaves out
LONG = (
    f'\n{"-" * 60}\nSystem environment:',
    'Config:\n',
    'Hooks will be executed in the following order',
    'paramwise_options -- ',
    'Distributed training is not used, all SyncBatchNorm',
    'Exp name: ',
)
# what stands in others; frozen parts have a line of their own
WITHIN = 'will be deprecated', 'is skipped since its requires_grad=False'
FOR_DEVELOPERS = DeprecationWarning, PendingDeprecationWarning, FutureWarning
# the first of each row that is installed
PACKAGES = (('mmdet', 'onedl-mmdetection'), ('mmengine', 'onedl-mmengine'), ('mmcv', 'mmcv-lite', 'onedl-mmcv'))


class ForPeople(logging.Filter):
    """Leaves out of a console what only the file of the log is for."""

    def filter(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        return not (getattr(record, 'file_only', False) or text.startswith(LONG) or any(one in text for one in WITHIN))


class TellOnce:
    """In the place of Python's traceback for each line of a log that cannot be written, as on a full disk."""

    def __init__(self, path: str) -> None:
        self.path, self._told = path, False

    def __call__(self, record: logging.LogRecord) -> None:
        del record
        if not self._told:
            self._told = True
            # which may be on that disk, too
            with suppress(OSError):
                print(f'{self.path} cannot be written ({sys.exc_info()[1]}); training goes on', file=sys.stderr)


def open_log(log: MMLogger, seed: int | None, processes: int) -> None:
    """The new log of a run: its console is for people, its file has what was said before; two lines say what runs.

    Warnings of Python go there as well from here on, each once and in one line.
    """
    for handler in log.handlers:
        if isinstance(handler, logging.FileHandler):
            handler.handleError = TellOnce(handler.baseFilename)  # type: ignore[method-assign]
        else:
            handler.addFilter(ForPeople())
    EARLY_LINES.hand_over(log)
    log.info(f'{processes} x {device_name()}; {", ".join(versions())}')
    log.info(f'seed {seed}; the whole log, with the config, environment, hooks and parameter groups: {log.log_file}')

    def show(message: Warning | str, category: type[Warning], filename: str, lineno: int, *_: object) -> None:
        extra = FILE_ONLY if issubclass(category, FOR_DEVELOPERS) else None
        log.warning(f'{category.__name__}: {message} ({filename}:{lineno})', extra=extra)

    warnings.showwarning = show  # type: ignore[assignment]  # it takes what Python's takes


def device_name() -> str:
    """The GPU, or the CPU with its threads."""
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'{platform.machine()} CPU with {torch.get_num_threads()} threads'


def versions() -> Iterator[str]:
    """Python and the packages that decide how a run goes, with their versions."""
    yield f'Python {platform.python_version()}'
    yield f'torch {torch.__version__}'
    for names in (*PACKAGES, ('swin_mmdet',)):
        for name in names:
            try:
                yield f'{name} {version(name)}'
            except PackageNotFoundError:
                continue
            break


@contextmanager
def prints_in_file(log: MMLogger) -> Iterator[None]:
    """What is printed meanwhile goes to the file of the log, as pycocotools prints that it reads annotations."""
    printed = io.StringIO()
    try:
        with redirect_stdout(printed):
            yield
    finally:
        if printed.getvalue().strip():
            log.info(printed.getvalue().strip(), extra=FILE_ONLY)


def describe_groups(optimizer: Optimizer) -> str:
    """An optimizer's parameter groups in a line: how many tensors train, at which rates, with which decay."""
    groups = optimizer.param_groups
    counts = [sum(parameter.requires_grad for parameter in group['params']) for group in groups]
    without = sum(count for count, group in zip(counts, groups) if not group.get('weight_decay'))
    decays = {group.get('weight_decay', 0) for group in groups} - {0}
    decay = f'weight decay {span(decays)}' if decays else 'no weight decay'
    if decays and without:
        decay += f' (none for {without} of them)'
    rate = span(group['lr'] for group in groups)
    name = type(optimizer).__name__
    return f'{name}: {sum(counts)} tensors train, learning rate {rate}, {decay}'


def span(values: Iterable[float]) -> str:
    """'0.1', or '0.1 to 0.2'."""
    values = sorted(set(values))
    return ' to '.join(f'{value:.4g}' for value in dict.fromkeys((values[0], values[-1])))
