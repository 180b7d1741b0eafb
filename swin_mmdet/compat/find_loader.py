"""mmengine and mmcv ask `pkgutil.find_loader('mmcv._ext')`: "module 'pkgutil' has no attribute 'find_loader'".

Since when: Python 3.14 removed it (deprecated since 3.12). Can go: when mmengine's `mmcv_full_available` and mmcv's
`check_ops_exist` ask importlib.util.find_spec.
"""

import importlib.util
import pkgutil
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader


def apply() -> None:
    """Put the function back where it is gone."""
    if not hasattr(pkgutil, 'find_loader'):
        pkgutil.find_loader = find_loader


def find_loader(fullname: str) -> 'Loader | None':
    """The loader of a module, None if there is no such module."""
    spec = importlib.util.find_spec(fullname)
    return None if spec is None else spec.loader
