"""What is wrong with a data set, and what to do about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from swin_mmdet.errors import UserError

ERROR, WARNING = 'error', 'warning'


@dataclass(frozen=True)
class Problem:
    """One finding.

    Attributes:
        where: a config key or a file.
        what: what is wrong.
        remedy: what to do about it.
        level: 'error' or 'warning'.
        kind: of its cause, where `repair` has something to do about it.
    """

    where: str
    what: str
    remedy: str
    level: str = ERROR
    kind: str = ''

    def __str__(self) -> str:
        return f'{self.where}: {self.what}\n    remedy: ' + self.remedy.replace('\n', '\n            ')


class DatasetCheckError(UserError, ValueError):
    """The data cannot be used as configured; `problems` holds every finding, the text lists all of them."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        self.problems = tuple(problems)
        super().__init__(f'{count(len(problems), "problem")} with the data:\n' + listing(problems))


def listing(problems: Sequence[Problem]) -> str:
    """Numbered text of the problems."""
    return '\n'.join(f'{number}. {problem}' for number, problem in enumerate(problems, 1))


def count(number: int, noun: str) -> str:
    """'1 box', '2 boxes'."""
    ending = '' if number == 1 else 'es' if noun.endswith(('s', 'x')) else 's'
    return f'{number} {noun}{ending}'


def some(names: Sequence, limit: int = 5) -> str:
    """The first few of many names."""
    shown = ', '.join(str(name) for name in names[:limit])
    return shown if len(names) <= limit else f'{shown}, ... ({len(names)} in all)'
