"""`mim` ends at its first import: "No module named 'pkg_resources'".

Since when: setuptools 82 no longer ships pkg_resources, and that of the setuptools 60 which openmim's dependencies ask
for does not run on Python 3.12. Can go: when openmim uses importlib.metadata. pip carries a copy of the same module,
and openmim already imports pip's; here it gets that copy under the other name too, in the processes that import `mim`
and in no others.
"""

import sys
from contextlib import suppress
from importlib import import_module
from types import ModuleType

from swin_mmdet.compat import on_import

COPY = 'pip._vendor.pkg_resources'


def apply() -> None:
    """Wait for `mim`, and act before it imports what it needs."""
    on_import.before('mim', lend_copy)


def lend_copy(_mim: ModuleType | None = None) -> None:
    """Name pip's copy pkg_resources, if there is no other that runs and pip has one."""
    with suppress(ImportError):
        import_module('setuptools')  # as mim: before pip, which would otherwise meet a replaced distutils
    try:
        import_module('pkg_resources')
    except Exception:  # missing, or too old for this Python in one of many ways
        with suppress(ImportError):
            sys.modules['pkg_resources'] = import_module(COPY)
