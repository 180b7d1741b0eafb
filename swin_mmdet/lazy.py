"""Names of a package that are imported when they are first asked for."""

import sys
from collections.abc import Callable
from importlib import import_module


def attributes(package: str, **places: str) -> Callable[[str], object]:
    """A `__getattr__` for this package; each of `places` is the module that has the name."""

    def find(name: str) -> object:
        if name not in places:
            raise AttributeError(f'module {package!r} has no attribute {name!r}')
        value = getattr(import_module(places[name]), name)
        setattr(sys.modules[package], name, value)
        return value

    return find
