"""The keyword arguments that a class takes, through every `**kwargs` that it hands on to its parents."""

import ast
import inspect
import textwrap
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache, partial

BY_NAME = (inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
# methods of a dict whose first argument is a key
READERS = ('get', 'pop', 'setdefault')


@cache
def accepted_arguments(kind: Callable) -> frozenset[str] | None:
    """The names that `kind(...)` takes; None if it takes any, or if that cannot be told from its source."""
    if isinstance(kind, partial):
        return accepted_arguments(kind.func)
    if not inspect.isclass(kind):
        own, rest = _parameters(kind) if inspect.isroutine(kind) else (set(), 'unknown')
        return None if rest else frozenset(own)
    if any('__new__' in parent.__dict__ for parent in kind.__mro__[:-1]) or type(kind).__call__ is not type.__call__:
        return None  # another method decides
    names: set[str] = set()
    parents = [parent for parent in kind.__mro__[:-1] if '__init__' in parent.__dict__]
    while parents:
        parent = parents.pop(0)
        if parent.__module__ == 'torch.nn.modules.module':
            return frozenset(names)  # it lists **kwargs, and refuses them
        own, rest = _parameters(parent.__dict__['__init__'])
        names |= own
        if not rest:
            return frozenset(names)
        uses = _uses_of_rest(parent.__dict__['__init__'], rest)
        if uses is None:
            return None
        names |= uses.keys
        # `super(Other, self)` and `Other.__init__` leave out who is before it
        above = [other.__name__ for other in parents]
        if uses.after in above:
            del parents[: above.index(uses.after) + 1]
        elif uses.at in above:
            del parents[: above.index(uses.at)]
    return None


def _parameters(function: Callable) -> tuple[set[str], str]:
    """Names of a function's parameters but `self`, deprecated ones too, and the name of its `**kwargs`, if any."""
    try:
        parameters = inspect.signature(function).parameters.values()
    except (TypeError, ValueError):
        return set(), 'unknown'
    names = {one.name for one in parameters if one.kind in BY_NAME} - {'self'}
    rest = [one.name for one in parameters if one.kind is inspect.Parameter.VAR_KEYWORD]
    return names | _renamed(function), rest[0] if rest else ''


def _renamed(function: Callable) -> set[str]:
    """Old names that a decorator (`deprecated_api_warning`) still takes: the keys of the dicts that it closes over."""
    names: set[str] = set()
    while hasattr(function, '__wrapped__'):
        for cell in function.__closure__ or ():
            if isinstance(cell.cell_contents, dict):
                names |= {name for name in cell.cell_contents if isinstance(name, str)}
        function = function.__wrapped__
    return names


@dataclass(frozen=True)
class _Uses:
    """What a constructor does with its `**kwargs`: keys that it reads, and the parent that it hands them to, if named.

    after: X of `super(X, self).__init__`. at: X of `X.__init__`.
    """

    keys: set[str]
    after: str
    at: str


def _uses_of_rest(function: Callable, rest: str) -> _Uses | None:
    """None if it does anything else with them."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(inspect.unwrap(function))))
    except (OSError, TypeError, SyntaxError):
        return None
    keys, explained, parents = set(), set(), []
    for node in ast.walk(tree):
        name, key = _one_key(node)
        if _is(name, rest) and key is not None:
            keys.add(key)
            explained.add(id(name))
        elif isinstance(node, ast.Call) and (parent := _parent_called(node.func)):
            handed = [one.value for one in node.keywords if one.arg is None and _is(one.value, rest)]
            explained |= {id(value) for value in handed}
            parents += [parent] * len(handed)
    uses = [node for node in ast.walk(tree) if _is(node, rest)]
    if len(parents) != 1 or any(id(use) not in explained for use in uses):
        return None
    return _Uses(keys, *parents[0])


def _is(node: ast.AST | None, name: str) -> bool:
    return isinstance(node, ast.Name) and node.id == name


def _one_key(node: ast.AST) -> tuple[ast.AST | None, str | None]:
    """What a dict is called and which constant key is meant in `d.get('key')`, `d['key']` and `'key' in d`."""
    if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in READERS and node.args:
        return node.func.value, _constant(node.args[0])
    if isinstance(node, ast.Subscript):
        return node.value, _constant(node.slice)
    if isinstance(node, ast.Compare) and len(node.ops) == 1 and isinstance(node.ops[0], ast.In | ast.NotIn):
        return node.comparators[0], _constant(node.left)
    return None, None


def _constant(node: ast.AST) -> str | None:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def _parent_called(function: ast.AST) -> tuple[str, str] | None:
    """(X, '') for `super(X, self).__init__`, ('', X) for `X.__init__`, ('', '') for `super().__init__`."""
    if not isinstance(function, ast.Attribute) or function.attr != '__init__':
        return None
    owner = function.value
    if isinstance(owner, ast.Call):
        named = owner.args[0].id if owner.args and isinstance(owner.args[0], ast.Name) else ''
        return (named, '') if _is(owner.func, 'super') else None
    named = getattr(owner, 'id', getattr(owner, 'attr', ''))
    return ('', named) if named else None
