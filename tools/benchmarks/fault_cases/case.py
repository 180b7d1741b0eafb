"""One fault, and what is right: to be refused, warned of and read rightly, or taken without a word."""

from collections.abc import Callable
from dataclasses import dataclass

from .data import Data, Seen

REFUSED, WARNED, ACCEPTED = 'refused', 'warned', 'accepted'


def as_it_was(seen: Seen) -> Seen:
    """What the model should see where nothing of the truth is lost."""
    return seen


@dataclass(frozen=True)
class Case:
    """kind: of the issue's eight; `right` is the outcome, in whose text the regular expression `says` is found.

    spoil: changes the data, on disk or before it is written.
    sees: what the model should see of the training images, from the truth, where the data is not refused; None where
        that is not compared.
    folder, data_option: what is right for a folder without a config, and for `--data FOLDER`, where that is something
        else: a folder's layout is found, and a config names files.
    """

    kind: str
    name: str
    spoil: Callable[[Data], object]
    right: str
    says: str = ''
    sees: Callable[[Seen], Seen] | None = as_it_was
    folder: str = ''
    data_option: str = ''


def refused(kind: str, name: str, spoil: Callable[[Data], object], says: str, **options: object) -> Case:
    return Case(kind, name, spoil, REFUSED, says, **options)


def warned(kind: str, name: str, spoil: Callable[[Data], object], says: str, **options: object) -> Case:
    return Case(kind, name, spoil, WARNED, says, **options)


def accepted(kind: str, name: str, spoil: Callable[[Data], object], **options: object) -> Case:
    return Case(kind, name, spoil, ACCEPTED, **options)
