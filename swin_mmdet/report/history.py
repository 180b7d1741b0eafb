"""Losses, rates and metrics of a training over its iterations, from what mmengine writes, also where it was resumed."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

# of a line, but nothing to draw
COUNTERS = {'step', 'iter', 'epoch', 'time', 'data_time', 'memory'}
METRIC_PREFIX = 'coco/'


@dataclass
class Series:
    """Values at iterations, in their order."""

    iterations: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)

    def add(self, iteration: int, value: float) -> None:
        self.iterations.append(iteration)
        self.values.append(value)


@dataclass
class History:
    """What a work-dir tells of its training.

    training: name -> losses, rates and norms.
    evaluations: name without its prefix -> metrics.
    resumed: the iterations from which it went on.
    seconds: of training, without evaluations; memory: the most in MB that a GPU had, None on a CPU.
    broken: lines that could not be read, file -> how many.
    """

    training: dict[str, Series] = field(default_factory=dict)
    evaluations: dict[str, Series] = field(default_factory=dict)
    resumed: list[int] = field(default_factory=list)
    seconds: float = 0.0
    memory: float | None = None
    broken: dict[Path, int] = field(default_factory=dict)

    @property
    def last_iteration(self) -> int:
        """Of a training or an evaluation: of the last steps there may be no line of their own."""
        every = (*self.training.values(), *self.evaluations.values())
        return max((series.iterations[-1] for series in every), default=0)


def scalars(path: Path, broken: dict[Path, int] | None = None) -> Iterator[dict]:
    """The lines of a `scalars.json`; one that was being written when the process ended is passed over and counted."""
    for line in path.read_text(errors='replace').splitlines():
        try:
            found = json.loads(line) if line.strip() else {}
        except ValueError:
            found = None
        if isinstance(found, dict):
            yield found
        elif broken is not None:
            broken[path] = broken.get(path, 0) + 1


def read_history(work_dir: str | Path) -> History:
    """Everything in the folder, one run after the other: what a later one has done again counts as it did it."""
    history = History()
    # their names are times, which sort as text
    parts = [_Part(path, history.broken) for path in sorted(Path(work_dir).glob('*/vis_data/scalars.json'))]
    parts = [part for part in parts if part.lines]
    for number, part in enumerate(parts):
        end = min((later.start for later in parts[number + 1 :]), default=None)
        if number and part.start > part.interval:
            history.resumed.append(part.start - part.interval)
        for iteration, line, is_training in part.lines:
            if end is not None and iteration >= end:
                continue
            _add(history, iteration, line, is_training, part.interval)
    return history


class _Part:
    """One file: (iteration, line, whether it is of training) of a run that trained, and where it begins."""

    def __init__(self, path: Path, broken: dict[Path, int]) -> None:
        self.lines: list[tuple[int, dict, bool]] = []
        found = [(line, 'lr' in line or 'loss' in line) for line in scalars(path, broken)]
        # those count evaluations in epochs too, which then come after the last line before them
        by_epoch = any('epoch' in line for line, is_training in found if is_training)
        last = None
        for line, is_training in found:
            iteration = line.get('iter', line.get('step')) if is_training else last if by_epoch else line.get('step')
            if isinstance(iteration, int):
                self.lines.append((iteration, line, is_training))
                last = iteration
        trained = [iteration for iteration, _, is_training in self.lines if is_training]
        if not trained:
            self.lines = []  # a test
        self.start = min(trained, default=0)
        self.interval = min((b - a for a, b in pairwise(trained) if b > a), default=self.start)


def _add(history: History, iteration: int, line: dict, is_training: bool, interval: int) -> None:
    for name, value in line.items():
        if name not in COUNTERS and isinstance(value, int | float) and not isinstance(value, bool):
            series = history.training if is_training else history.evaluations
            series.setdefault(name.removeprefix(METRIC_PREFIX), Series()).add(iteration, float(value))
    if is_training:
        seconds, memory = line.get('time'), line.get('memory')
        if isinstance(seconds, int | float):
            history.seconds += seconds * interval
        if isinstance(memory, int | float):
            history.memory = max(history.memory or 0, memory)
