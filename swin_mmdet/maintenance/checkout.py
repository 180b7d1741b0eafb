"""Where a checkout of this project lies."""

from pathlib import Path

import swin_mmdet
from swin_mmdet.errors import UserError


def checkout(needed: str) -> Path:
    """The folder that the package is imported from.

    Raises:
        UserError: it has no such file or folder: it is an installed package.
    """
    root = Path(swin_mmdet.__file__).resolve().parent.parent
    if not (root / needed).exists():
        raise UserError(f'{root / needed} is not there: this works on a checkout of the project, run it there')
    return root
