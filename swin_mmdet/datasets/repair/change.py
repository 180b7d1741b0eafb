"""What a repair did, item by item."""

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True)
class Change:
    """kind: of the problem; item: such as 'annotation 7'; what: was done."""

    kind: str
    item: str
    what: str


class Changes:
    """Collects them."""

    def __init__(self) -> None:
        self.made: list[Change] = []

    def __call__(self, kind: str, item: str, what: str) -> None:
        self.made.append(Change(kind, item, what))

    def __iter__(self) -> Iterator[Change]:
        return iter(self.made)
