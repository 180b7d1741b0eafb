"""Runs a patch when the module that it mends is imported, so that no patch imports anything for its own sake.

The classes have no bases: those of importlib.abc take longer to import than everything else here.
"""

import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object

Patch = Callable[[ModuleType], None]


class PatchingFinder:
    """Finds a module as the other finders do, and has its patches run around its execution."""

    def __init__(self) -> None:
        self.before: dict[str, list[Patch]] = defaultdict(list)
        self.after: dict[str, list[Patch]] = defaultdict(list)
        self.asking = threading.local()

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        """None for a module without patches, or for which the others are being asked already."""
        asked = vars(self.asking).setdefault('names', set())
        if name in asked or (name not in self.before and name not in self.after):
            return None
        asked.add(name)
        try:
            found = (finder.find_spec(name, path, target) for finder in sys.meta_path if hasattr(finder, 'find_spec'))
            spec = next((spec for spec in found if spec is not None), None)
        finally:
            asked.remove(name)
        if spec is not None and spec.loader is not None and hasattr(spec.loader, 'exec_module'):
            spec.loader = PatchingLoader(spec.loader, self.before[name], self.after[name])
        return spec


class PatchingLoader(Loader):
    """Stands before a module's loader until it executes the module; everything else of that loader shows through."""

    def __init__(self, loader: Loader, before: list[Patch], after: list[Patch]) -> None:
        self.loader, self.before, self.after = loader, before, after

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        assert module.__spec__ is not None  # the import system has set it
        module.__spec__.loader = module.__loader__ = self.loader
        for patch in self.before:
            patch(module)
        self.loader.exec_module(module)
        for patch in self.after:
            patch(module)

    def __getattr__(self, name: str) -> object:
        return getattr(object.__getattribute__(self, 'loader'), name)


FINDER = PatchingFinder()


def before(name: str, patch: Patch) -> None:
    """Call the patch with the module of this name, empty yet, whenever it is about to be executed."""
    _register(FINDER.before[name], patch)


def after(name: str, patch: Patch) -> None:
    """Call the patch with the module of this name once it was executed: now, if it is there already."""
    if _register(FINDER.after[name], patch) and name in sys.modules:
        patch(sys.modules[name])


def _register(patches: list[Patch], patch: Patch) -> bool:
    """Whether the patch is a new one."""
    if FINDER not in sys.meta_path:
        sys.meta_path.insert(0, FINDER)
    if patch in patches:
        return False
    patches.append(patch)
    return True
