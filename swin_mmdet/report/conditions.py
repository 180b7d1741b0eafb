"""How a run was made: its command, machine, versions, seed and time, from the logs that our runners write."""

import re
import shlex
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

# the head of a line of mmengine's log
STAMP = re.compile(r'^(\d{4}/\d\d/\d\d \d\d:\d\d:\d\d) - ')
TIME = '%Y/%m/%d %H:%M:%S'
COMMAND = re.compile(r'^\S+ \S+ - \S+ - INFO - command: (.+)$', re.MULTILINE)
MACHINE = re.compile(r'^\S+ \S+ - \S+ - INFO - (\d+ x [^;\n]+); (Python [^\n]+)$', re.MULTILINE)
SEED = re.compile(r'^\S+ \S+ - \S+ - INFO - seed (\S+); the whole log', re.MULTILINE)
# a short run may end before its first line of losses
TRAINED = re.compile(r'(?:Iter|Epoch)\(train\)|; optimizer steps: ')


@dataclass(frozen=True)
class RunConditions:
    """One start of a program in a work-dir; '' where its log does not say it.

    name: of its folder, the time of its start.
    """

    name: str
    is_training: bool
    command: str
    machine: str
    versions: str
    seed: str
    start: datetime
    end: datetime


def read_conditions(work_dir: Path) -> list[RunConditions]:
    """Of every log, the oldest first."""
    found = (_read(path) for path in sorted(work_dir.glob('*/*.log')) if path.stem == path.parent.name)
    return [one for one in found if one]


def command_line(words: list[str]) -> str:
    """The line of a log that `read_conditions` finds."""
    program, *rest = words
    return f'command: {program} {shlex.join(rest)}'.rstrip()


def _read(path: Path) -> RunConditions | None:
    text = path.read_text(errors='replace')
    stamps = [match[1] for match in map(STAMP.match, text.splitlines()) if match]
    if not stamps:
        return None
    machine = MACHINE.search(text)
    return RunConditions(
        name=path.stem,
        is_training=bool(TRAINED.search(text)),
        command=_first(COMMAND, text),
        machine=machine[1] if machine else '',
        versions=machine[2] if machine else '',
        seed=_first(SEED, text),
        start=datetime.strptime(stamps[0], TIME),
        end=datetime.strptime(stamps[-1], TIME),
    )


def _first(pattern: re.Pattern, text: str) -> str:
    found = pattern.search(text)
    return found[1] if found else ''
