"""Finding what a `type` of a config means, as mmengine will when it builds it."""

from collections.abc import Callable, Iterable, Iterator
from functools import cache
from importlib import import_module

import mmengine.registry
from mmengine.registry import Registry
from mmengine.utils import get_object_from_string

# they register mmengine's own classes, which its registries do not import by themselves
MMENGINE = ('dataset', 'evaluator', 'hooks', 'model', 'optim', 'runner', 'visualization')


def find(kind: object, registries: Iterable[str], scope: str) -> Callable | None:
    """What a type means: a name, with its scope or module or without, in one of these registries of mmengine.

    Args:
        registries: names in `mmengine.registry`, such as 'MODELS'; of several the first that knows the type.
        scope: the scope that a name without one has; its registries, then mmengine's own are searched.

    Returns:
        The class or function, None if there is none.
    """
    if not isinstance(kind, str):
        return kind if callable(kind) else None
    for registry in registries:
        for one in _searched(getattr(mmengine.registry, registry), kind, scope):
            if (found := one.module_dict.get(_own_name(kind))) is not None:
                return found
    return _by_module(kind)


def names(registries: Iterable[str], scope: str, prefixed: bool = False) -> list[str]:
    """Every name that `find` would find; `prefixed` writes the scope before it."""
    found = []
    for registry in registries:
        for one in _searched(getattr(mmengine.registry, registry), '', scope):
            found += [f'{one.scope}.{name}' if prefixed else name for name in one.module_dict]
    return list(dict.fromkeys(found))


def every_registry() -> tuple[str, ...]:
    """The names of all registries."""
    return tuple(name for name in dir(mmengine.registry) if isinstance(getattr(mmengine.registry, name), Registry))


def scope_of(kind: str) -> str | None:
    """The scope that a name begins with, if there is a package of that name with registries."""
    scope, dot, _ = kind.partition('.')
    return scope if dot and _has_registries(scope) else None


def _searched(root: Registry, kind: str, scope: str) -> Iterator[Registry]:
    """The registries in which mmengine looks for a name, in its order, with their contents imported."""
    _import_mmengine()
    scope = scope_of(kind) or scope
    if _has_registries(scope) and scope in root.children:
        child = root.children[scope]
        child.import_from_location()
        yield child
    yield root


def _own_name(kind: str) -> str:
    """The name without its scope."""
    return kind.partition('.')[2] if scope_of(kind) else kind


@cache
def _has_registries(scope: str) -> bool:
    try:
        import_module(f'{scope}.registry')
    except ImportError:
        return False
    return True


@cache
def _import_mmengine() -> None:
    for name in MMENGINE:
        import_module(f'mmengine.{name}')


def _by_module(kind: str) -> Callable | None:
    """An object named with its module, as a Python-style config writes its classes when it is dumped."""
    if '.' not in kind:
        return None
    try:
        return get_object_from_string(kind)
    except Exception:  # any of a module that cannot be imported
        return None
