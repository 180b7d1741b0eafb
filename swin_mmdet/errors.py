"""Mistakes that a user can put right, by the names that the whole package shares; importing it costs nothing."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager


class UserError(Exception):
    """A mistake of the caller; the message names the thing and the remedy."""


@contextmanager
def gathered(mistakes: list[str]) -> Iterator[None]:
    """The sentences of a UserError in this context are added to the others, to be told together by `refuse`."""
    try:
        yield
    except UserError as error:
        mistakes.append(str(error))


def refuse(mistakes: Sequence[str]) -> None:
    """Raise a UserError with each of the sentences on a line, if there are any."""
    if mistakes:
        raise UserError('\n'.join(mistakes))


class CheckpointError(UserError, ValueError):
    """A checkpoint that cannot be read, or that does not fit.

    Attributes:
        source: its path or URL.
        reason: what is wrong, without the source.
    """

    def __init__(self, source: str, reason: str) -> None:
        self.source, self.reason = source, reason
        super().__init__(source, reason)

    def __str__(self) -> str:
        return f'{self.source}: {self.reason}'


@contextmanager
def naming_checkpoint(source: str) -> Iterator[None]:
    """What is wrong with the contents of a checkpoint is raised with its source, once."""
    try:
        yield
    except CheckpointError:
        raise
    except ValueError as error:
        raise CheckpointError(source, str(error)) from error
