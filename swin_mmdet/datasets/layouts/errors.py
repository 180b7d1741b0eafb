"""What is wrong with a folder of data that is to be read."""

import math
from typing import Any

from swin_mmdet.errors import UserError


class LayoutError(UserError, ValueError):
    """A folder of data cannot be read; the message names the file, what is wrong and the remedy."""


class UnknownLayoutError(LayoutError):
    """A folder has nothing that is recognised."""


# no coordinate is larger: masks of such outlines would take all memory
LARGEST = 10**6


def number(value: Any, where: str, what: str, most: float = LARGEST) -> float:
    """A number of an annotation, also one written as text, of at most this magnitude.

    Raises:
        LayoutError: it is none.
    """
    try:
        found = float(value)
    except (TypeError, ValueError, OverflowError):
        found = math.nan
    # NaN is not less either
    if isinstance(value, bool) or not abs(found) <= most:
        raise LayoutError(f'{where}: {what} is {value!r}, no number from -{most:g} to {most:g}; correct it')
    return found


def whole(value: object, where: str, what: str, least: int = 1, most: int = LARGEST) -> int:
    """A whole number of an annotation, such as a size in pixels."""
    found = number(value, where, what, max(LARGEST, abs(least), most))
    if found != int(found) or not least <= found <= most:
        raise LayoutError(f'{where}: {what} is {value!r}; it is a whole number from {least} to {most}')
    return int(found)


def mapping(value: object, where: str) -> dict:
    """An object of a JSON file."""
    if not isinstance(value, dict):
        raise LayoutError(f'{where}: there is a {type(value).__name__} in the place of an object; correct it')
    return value


def sequence(value: object, where: str) -> list:
    """A list of a JSON file; nothing is an empty one."""
    if value is not None and not isinstance(value, list):
        raise LayoutError(f'{where}: there is a {type(value).__name__} in the place of a list; correct it')
    return value or []
