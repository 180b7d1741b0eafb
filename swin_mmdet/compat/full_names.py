"""mmengine does not find `mmdet.models.losses.smooth_l1_loss.L1Loss`: "... is not in the mmengine::model registry".

A Python-style config is dumped with such names. Where a package has a function named like the module that it is in,
mmengine looks for the class in the function. Since when: mmengine 0.8. Can go: when `get_object_from_string` imports
the longest module that the name begins with.
"""

from types import ModuleType

from swin_mmdet.compat import on_import


def apply() -> None:
    """Wait for mmengine's function, to give it a new body."""
    on_import.after('mmengine.utils.misc', replace)


def replace(misc: ModuleType) -> None:
    """Other modules hold the function by name, so the function itself has to change."""
    original = getattr(misc, 'get_object_from_string', None)
    if original is not None and 'ismodule' in original.__code__.co_names:
        original.__code__ = get_object_from_string.__code__


# A body that moves into another module finds no globals of this one.


def get_object_from_string(obj_name: str) -> object | None:
    """The object with this full name, None if there is none; of a function and a module of one name the function."""
    from importlib import import_module

    parts = obj_name.split('.')
    for end in range(len(parts) - 1, 0, -1):
        try:
            found: object = import_module('.'.join(parts[:end]))
        except ImportError:
            continue
        for name in parts[end:]:
            found = getattr(found, name, None)
        if found is not None:
            return found
    try:
        return import_module(obj_name)
    except ImportError:
        return None
