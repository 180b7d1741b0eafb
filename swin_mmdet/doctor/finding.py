"""One line of the doctor's report."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """What was looked at and what was found; with what is wrong, if anything, and the one line that mends it.

    is_broken: something will not run; else only slower, or less of it.
    """

    name: str
    value: str
    wrong: str = ''
    remedy: str = ''
    is_broken: bool = True
