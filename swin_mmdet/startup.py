"""What the installed start-up file does when a library that swin_mmdet.compat mends is first imported.

Installing this package puts `swin_mmdet_startup.pth` beside it, whose one line Python runs at every start. It offers a
finder to the import system that looks at names only, and comes here at the first import of one of these libraries.
`import torch` or `import mmengine` then do what `import swin_mmdet.compat` before them would: every program that uses
them, MMDetection's own tools, worker processes and notebooks among them, runs on today's PyTorch without naming us.

`SWIN_MMDET_STARTUP=off` (or 0, no, false) in the environment ends that; importing swin_mmdet.compat still works. This
is the one file of the library that reads the environment: it runs before anybody could pass it an argument.
"""

import os
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

SWITCH = 'SWIN_MMDET_STARTUP'
OFF = ('0', 'off', 'no', 'false')


def is_off() -> bool:
    """Whether the environment switches it off."""
    return os.environ.get(SWITCH, '').lower() in OFF


def find_spec(name: str, path: Sequence[str] | None = None, target: ModuleType | None = None) -> ModuleSpec | None:
    """The module as the other finders find it, with its patches; None, so that they find it, when switched off."""
    if is_off():
        return None
    from swin_mmdet.compat.on_import import FINDER

    return FINDER.find_spec(name, path, target)
