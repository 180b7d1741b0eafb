"""Every case, and its data on disk."""

from pathlib import Path

from . import files, masks, names, numbers, pixels
from .case import Case
from .data import Data

CASES: list[Case] = [case for module in (pixels, masks, numbers, names, files) for case in module.CASES]


def made(case: Case, folder: Path) -> Data:
    """The data of a case, on disk."""
    data = Data(folder)
    case.spoil(data)
    data.save()
    if data.settings.get('folder_for_file'):
        data.ann_file('train').unlink()
        data.ann_file('train').mkdir()
    return data
