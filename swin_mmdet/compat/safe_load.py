"""`torch.load` refuses mmengine's own checkpoints: "Unsupported global: mmengine.logging.history_buffer.HistoryBuffer".

Since when: PyTorch 2.6 loads with weights_only=True unless told otherwise, and mmengine does not say. Can go: when
mmengine allow-lists what it writes. The protection stays on. PyTorch's allow-list gets what mmengine writes, no more:
the histories of its message hub, which hold numpy arrays of numbers and four of their own methods, ConfigDict, which a
dataset's metainfo may contain, and the annealing functions of the one-cycle schedule. PyTorch alone is enough to read
a file: mmengine is imported when a file names something that PyTorch does not know by itself.
"""

from collections.abc import Callable, Hashable, Iterator
from functools import lru_cache
from importlib import import_module
from importlib.util import find_spec
from pickle import UnpicklingError
from types import ModuleType

from swin_mmdet.compat import on_import

NUMBERS = '?bhilqBHILQefd'
CONFIG_DICT = 'mmengine.config.config.ConfigDict'
HISTORY = 'mmengine.logging.history_buffer.HistoryBuffer'
ONE_CYCLE = 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'
METHODS = {
    HISTORY: ('min', 'max', 'current', 'mean'),
    ONE_CYCLE: ('_annealing_cos', '_annealing_linear'),
}
Entry = tuple[Hashable, str]  # what a name in a checkpoint stands for, and that name


def apply() -> None:
    """Wait for PyTorch."""
    on_import.after('torch', extend)


def extend(torch: ModuleType) -> None:
    """Extend the allow-list, if this PyTorch keeps to one by default and mmengine is there to have written files."""
    if torch.__version__ >= (2, 6) and find_spec('mmengine') is not None:
        late = [LateEntry(name) for name in (CONFIG_DICT, HISTORY, ONE_CYCLE)]
        torch.serialization.add_safe_globals([*late, (method, 'builtins.getattr'), *_numpy_globals()])


class LateEntry(tuple):
    """An `Entry` for a class of mmengine, which is imported when PyTorch takes the pair apart."""

    def __new__(cls, name: str) -> 'LateEntry':
        return super().__new__(cls, (None, name))

    def __iter__(self) -> Iterator:
        name = self[1]
        return iter((_known_by(name), name))


@lru_cache
def _known_by(name: str) -> Hashable:
    """What a name in a checkpoint stands for."""
    if name == ONE_CYCLE:
        return OneCycle()
    module, _, attribute = name.rpartition('.')
    try:
        return getattr(import_module(module), attribute)
    except ImportError:
        return Missing  # somebody else's file is being read: it does not need mmengine


class Missing:
    """What mmengine's names stand for where mmengine cannot be imported."""


class OneCycle:
    """Stands for OneCycleParamScheduler, imported late: mmengine.optim imports every optimizer library it finds."""

    def __getattr__(self, name: str) -> Callable:
        if name not in METHODS[ONE_CYCLE]:
            raise AttributeError(name)
        return getattr(import_module(ONE_CYCLE.rpartition('.')[0]).OneCycleParamScheduler, name)


def method(owner: Hashable, name: str) -> Callable:
    """A pickle names a method by calling getattr, which could reach anything: this one reaches six functions."""
    allowed = next((names for known, names in METHODS.items() if owner is _known_by(known)), ())
    if owner is Missing or name not in allowed:
        raise UnpicklingError(f'refused getattr({owner!r}, {name!r})')
    return getattr(owner, name)


@lru_cache(maxsize=1)
def _numpy_globals() -> list[Entry]:
    """Arrays and scalars of numbers; numpy 1 wrote its two functions under another module name than numpy 2 does."""
    import numpy as np

    rebuild = {'_reconstruct': np.zeros(1).__reduce__()[0], 'scalar': np.float64(1).__reduce__()[0]}
    functions = [
        (function, f'numpy.{core}.multiarray.{name}')
        for core in ('core', '_core')
        for name, function in rebuild.items()
    ]
    dtypes = {type(np.dtype(code)) for code in NUMBERS}
    classes: list[type] = [np.ndarray, np.dtype, *dtypes]
    return [*map(_named, classes), *functions]


def _named(cls: type) -> Entry:
    """A pair, not the class alone: onedl-mmengine adds some of these classes for a load and then removes them again."""
    return cls, f'{cls.__module__}.{cls.__qualname__}'
