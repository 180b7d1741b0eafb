"""File names that annotation files give, kept inside the folder of their data: what leads out of it is not opened.

Judged by the names alone, without a look at the disk: links that a user has put into the folder are the user's own.
"""

import os.path as osp
import re
from pathlib import Path

from swin_mmdet.errors import UserError

# drives, shares and other absolute names of Windows, which are relative ones elsewhere
WINDOWS_ABSOLUTE = re.compile(r'[A-Za-z]:[\\/]|\\\\')
URL = re.compile(r'[A-Za-z][A-Za-z0-9+.-]*://')
# what nearly all names are: relative, without a step back or anything that a system may take for one
PLAIN = re.compile(r'(?!.*\.\.)[^/\\:\0][^\\:\0]*', re.DOTALL)


class OutsideFolderError(UserError, ValueError):
    """A file name leads out of the folder of the data."""


def inside_folder(folder: str | Path, name: str) -> Path:
    """The path of a file that annotations name, which is relative to the folder or an absolute one within it.

    Raises:
        OutsideFolderError: it leads elsewhere, by '..', as an absolute path or as an address.
    """
    folder = osp.abspath(folder)
    # both separators, as a reader on another system would take them
    path = osp.normpath(osp.join(folder, name.replace('\\', '/')))
    foreign = WINDOWS_ABSOLUTE.match(name) or URL.match(name)
    stays = path == folder or path.startswith(folder.rstrip('/') + '/')
    if foreign or '\0' in name or not stays:
        raise OutsideFolderError(f'{name!r} leads out of the folder of the data, {folder}')
    return Path(osp.join(folder, name))


def is_inside(folder: str | Path, name: str) -> bool:
    """Whether a file name stays within the folder."""
    if PLAIN.fullmatch(name):
        return True
    try:
        inside_folder(folder, name)
    except OutsideFolderError:
        return False
    return True
