"""How far a check of data goes."""

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class CheckOptions:
    """What the user chose.

    pixels: decode every image; else headers alone are read.
    cache: a folder that keeps what was seen of images until they change, None to keep nothing.
    allow_outside: open images whose names lead out of their folder.
    """

    pixels: bool = True
    cache: Path | None = None
    allow_outside: bool = False
