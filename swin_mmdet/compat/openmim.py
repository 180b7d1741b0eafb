"""`mim` ends at its first import: "No module named 'pkg_resources'".

Since when: setuptools 82 no longer ships pkg_resources. Can go: when openmim uses importlib.metadata. pip carries a
copy of the same module, and openmim already imports pip's; here it gets that copy under the other name too, in the
processes that import `mim` and in no others.
"""

import importlib
import sys
from importlib.util import find_spec
from types import ModuleType

from swin_mmdet.compat import on_import

COPY = 'pip._vendor.pkg_resources'


def apply() -> None:
    """Wait for `mim`, and act before it imports what it needs."""
    on_import.before('mim', lend_copy)


def lend_copy(_mim: ModuleType | None = None) -> None:
    """Name pip's copy pkg_resources, if there is no other and pip has one."""
    if find_spec('pkg_resources') is not None or find_spec('pip') is None:
        return
    importlib.import_module('setuptools')  # as mim: before pip, which would otherwise meet a replaced distutils
    if find_spec(COPY) is not None:
        sys.modules['pkg_resources'] = importlib.import_module(COPY)
