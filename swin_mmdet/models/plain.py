"""Whether modules do what their classes say and nothing besides, so that fused operations may stand for them.

Quantisers, adapters, profilers and others put something in the place of a module, of its `forward`, of its class's or
of its weights, or hook it, or hook all modules, at any time. So all of that is asked at each call; it takes about half
a microsecond a module.
"""

from collections.abc import Iterable
from typing import NamedTuple

from torch import Tensor, nn
from torch.nn.modules import module as torch_module

HOOKS = ('_forward_hooks', '_forward_pre_hooks', '_backward_hooks', '_backward_pre_hooks')
# not of a subclass: those of quantised or distributed weights do something else in the place of operations
WEIGHTS = frozenset({nn.Parameter, Tensor})
# in the dictionary of a module they are its own, instead of its class's
REPLACED, COMPILED = 'forward', '_compiled_call_impl'
# of tensors in a trace
STAND_INS = 'torch._subclasses.'

_GLOBAL_HOOKS = tuple(getattr(torch_module, f'_global{name}') for name in HOOKS)
_CALL = nn.Module.__call__


class Part(NamedTuple):
    """What a plain module is.

    Attributes:
        name: in its parent; the root's may be ''.
        cls: its class itself, no subclass.
        weights: the tensors that it has.
        absent: the tensors that its class may have and this one has not.
        settings: of its attributes, by name.
        children: of its modules those that are read or passed by.
    """

    name: str
    cls: type[nn.Module]
    weights: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()
    settings: tuple[tuple[str, object], ...] = ()
    children: tuple['Part', ...] = ()


def linear(name: str, bias: bool = True) -> Part:
    """An `nn.Linear`."""
    return Part(name, nn.Linear, ('weight', 'bias') if bias else ('weight',), () if bias else ('bias',))


def layer_norm(name: str) -> Part:
    """An `nn.LayerNorm` with both of its weights."""
    return Part(name, nn.LayerNorm, ('weight', 'bias'))


def has_global_hooks() -> bool:
    """Whether there are hooks of all modules."""
    return any(_GLOBAL_HOOKS)


def is_touched(module: nn.Module) -> bool:
    """Whether this one has hooks, or a forward of its own in place of its class's."""
    own = module.__dict__
    return bool(
        own['_forward_hooks']
        or own['_forward_pre_hooks']
        or own['_backward_hooks']
        or own['_backward_pre_hooks']
        or REPLACED in own
        or COMPILED in own
    )


def is_untouched(module: nn.Module) -> bool:
    """Whether weights of it and of all modules in it may be read in the place of a call: nobody would notice."""
    return (
        not has_global_hooks()
        and not any(map(is_touched, module.modules()))
        and all(map(_is_weight, module.parameters()))
    )


def _is_weight(tensor: object) -> bool:
    kind = type(tensor)
    return kind in WEIGHTS or kind.__module__.startswith(STAND_INS)


def why_not_plain_anywhere(forwards: Iterable[tuple[type[nn.Module], object]]) -> str | None:
    """None unless something is done to all modules, or to all of a class; `forwards` are those of classes at first."""
    if has_global_hooks():
        return 'there are hooks of all modules'
    if nn.Module.__call__ is not _CALL:
        return 'the call of all modules is replaced'
    for cls, forward in forwards:
        if cls.forward is not forward:
            return f'the forward of all {cls.__name__} is replaced'
    return None


def why_not_plain(module: nn.Module, part: Part) -> str | None:
    """None when the module is nothing but this part, else what it is instead, in words that begin with its name."""
    if type(module) is not part.cls:
        return f'{part.name} is a {type(module).__name__} in the place of a {part.cls.__name__}'
    if is_touched(module):
        return f'{part.name}, a {part.cls.__name__}, has hooks or a forward of its own'
    own = module.__dict__
    parameters = own['_parameters']
    for name in part.weights:
        # those of a replica of nn.DataParallel are attributes
        weight = parameters[name] if name in parameters else own.get(name)
        if not _is_weight(weight):
            return f'{part.name}.{name} is a {type(weight).__name__}'
    for name in part.absent:
        if parameters.get(name) is not None or own.get(name) is not None:
            return f'{part.name} has a {name}'
    for name, value in part.settings:
        if own[name] != value:
            return f'{part.name} has {name}={own[name]!r}'
    children = own['_modules']
    for child in part.children:
        reason = why_not_plain(children.get(child.name), child)
        if reason is not None:
            return f'{part.name}.{reason}'
    return None


def is_plain(module: nn.Module, part: Part) -> bool:
    """Whether its weights are all there is to it, and nobody watches calls of it."""
    return not has_global_hooks() and why_not_plain(module, part) is None
