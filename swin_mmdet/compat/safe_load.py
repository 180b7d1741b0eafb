"""`torch.load` refuses mmengine's own checkpoints: "Unsupported global: mmengine.logging.history_buffer.HistoryBuffer".

Since when: PyTorch 2.6 loads with weights_only=True unless told otherwise, and mmengine does not say. Can go: when
mmengine allow-lists what it writes. The protection stays on. PyTorch's allow-list gets what mmengine writes, no more:
the histories of its message hub, which hold numpy arrays of numbers and four of their own methods, ConfigDict, which a
dataset's metainfo may contain, and the annealing functions of the one-cycle schedule.
"""

from collections.abc import Callable, Hashable
from functools import lru_cache
from importlib.util import find_spec
from pickle import UnpicklingError

NUMBERS = '?bhilqBHILQefd'
HISTORY_METHODS = ('min', 'max', 'current', 'mean')
ONE_CYCLE = 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'
ANNEALING_METHODS = ('_annealing_cos', '_annealing_linear')
Entry = tuple[Hashable, str]  # what a name in a checkpoint stands for, and that name


def apply() -> None:
    """Extend the allow-list; without PyTorch or mmengine there is nothing to load."""
    if find_spec('torch') is None or find_spec('mmengine') is None:
        return
    from torch.serialization import add_safe_globals

    add_safe_globals(_mmengine_globals() + _numpy_globals())


class OneCycle:
    """Stands for OneCycleParamScheduler, imported late: mmengine.optim imports every optimizer library it finds."""

    def __getattr__(self, name: str) -> Callable:
        if name not in ANNEALING_METHODS:
            raise AttributeError(name)
        from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

        return getattr(OneCycleParamScheduler, name)


@lru_cache(maxsize=1)
def _mmengine_globals() -> list[Entry]:
    from mmengine.config import ConfigDict
    from mmengine.logging.history_buffer import HistoryBuffer

    one_cycle = OneCycle()
    safe_methods = {HistoryBuffer: HISTORY_METHODS, one_cycle: ANNEALING_METHODS}

    def method(owner: Hashable, name: str) -> Callable:
        """A pickle names a method by calling getattr, which could reach anything: this one reaches six functions."""
        if name not in safe_methods.get(owner, ()):
            raise UnpicklingError(f'refused getattr({owner!r}, {name!r})')
        return getattr(owner, name)

    return [_named(ConfigDict), _named(HistoryBuffer), (one_cycle, ONE_CYCLE), (method, 'builtins.getattr')]


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
    return [*map(_named, (np.ndarray, np.dtype, *dtypes)), *functions]


def _named(cls: type) -> Entry:
    """A pair, not the class alone: onedl-mmengine adds some of these classes for a load and then removes them again."""
    return cls, f'{cls.__module__}.{cls.__qualname__}'
