"""`torch.load` refuses mmengine's own checkpoints: "Unsupported global: mmengine.logging.history_buffer.HistoryBuffer".

Since when: PyTorch 2.6 loads with weights_only=True unless told otherwise, and mmengine does not say. Can go: when
mmengine allow-lists what it writes. The protection stays on. PyTorch's allow-list gets what mmengine writes, no more:
the histories of its message hub, which hold numpy arrays of numbers and four of their own methods, ConfigDict, which a
dataset's metainfo may contain, and the annealing functions of the one-cycle schedule.
"""

from collections.abc import Callable
from functools import lru_cache
from importlib.util import find_spec
from pickle import UnpicklingError
from typing import NoReturn

NUMBERS = '?bhilqBHILQefd'
HISTORY_METHODS = ('min', 'max', 'current', 'mean')
ONE_CYCLE = 'mmengine.optim.scheduler.param_scheduler.OneCycleParamScheduler'
ANNEALING_METHODS = ('_annealing_cos', '_annealing_linear')


def apply() -> None:
    """Extend the allow-list; without PyTorch or mmengine there is nothing to load."""
    if find_spec('torch') is None or find_spec('mmengine') is None:
        return
    from torch.serialization import add_safe_globals

    add_safe_globals(_mmengine_globals() + _numpy_globals())


@lru_cache(maxsize=1)
def _mmengine_globals() -> list[Callable]:
    from mmengine.config import ConfigDict
    from mmengine.logging.history_buffer import HistoryBuffer

    def one_cycle(*_: object) -> NoReturn:
        raise UnpicklingError(f'refused to call {ONE_CYCLE}: a checkpoint only names its annealing functions')

    # A pickle names a method by calling getattr, which could reach anything: this one reaches six functions.
    def method(owner: Callable, name: str) -> Callable:
        if owner is HistoryBuffer and name in HISTORY_METHODS:
            return getattr(HistoryBuffer, name)
        if owner is named_one_cycle and name in ANNEALING_METHODS:
            # Imported when asked for: mmengine.optim imports every optimizer library that is installed.
            from mmengine.optim.scheduler.param_scheduler import OneCycleParamScheduler

            return getattr(OneCycleParamScheduler, name)
        raise UnpicklingError(f'refused getattr({owner!r}, {name!r})')

    named_one_cycle = _under_name(ONE_CYCLE, one_cycle)
    return [ConfigDict, HistoryBuffer, named_one_cycle, _under_name('builtins.getattr', method)]


@lru_cache(maxsize=1)
def _numpy_globals() -> list[Callable]:
    """Arrays and scalars of numbers; numpy 1 wrote its two functions under another module name than numpy 2 does."""
    import numpy as np

    rebuild = {'_reconstruct': np.zeros(1).__reduce__()[0], 'scalar': np.float64(1).__reduce__()[0]}
    functions = [
        _under_name(f'numpy.{core}.multiarray.{name}', function)
        for core in ('core', '_core')
        for name, function in rebuild.items()
    ]
    dtypes = {type(np.dtype(code)) for code in NUMBERS}
    return [np.ndarray, np.dtype, *dtypes, *functions]


def _under_name(path: str, function: Callable) -> Callable:
    """The function as a checkpoint names it: PyTorch 2.6 compares with __module__ and __name__ only."""

    def call(*arguments: object) -> object:
        return function(*arguments)

    call.__module__, _, call.__name__ = path.rpartition('.')
    call.__qualname__ = call.__name__
    return call
