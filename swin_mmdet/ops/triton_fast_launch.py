"""Launch a Triton kernel that was compiled before without asking Triton what it would compile.

`kernel[grid](...)` works out from every argument, in Python, which of its compiled kernels fits. At two images a GPU
the CPU is the limit of a step that is not replayed as a CUDA graph.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import lru_cache, partial
from typing import Any

import torch
import triton
from torch import Tensor

# since then a compiled kernel takes all arguments of its function, compile-time constants among them
_ANY_ARGUMENT = tuple(int(part) for part in triton.__version__.split('.')[:2]) >= (3, 4)
PROCESSORS_WITHOUT_GPU = 2
_ALIGNMENT = 16  # bytes, for which Triton compiles wide loads


class FastLaunch:
    """A `triton.jit` function whose compiled kernels are found by types, constants and specialised integers alone.

    Called as the function is, with its constants by name; the order of the names is part of a call. Tensors that are
    not aligned to 16 bytes and integers beyond 32 bits take Triton's own way, as everything does when interpreted.
    """

    def __init__(self, function: Any) -> None:
        self.function = function
        self.compiled: dict[tuple, tuple] = {}
        self.fast = _ANY_ARGUMENT and isinstance(function, triton.runtime.jit.JITFunction)
        if self.fast:
            self.specialised = [not parameter.do_not_specialize for parameter in function.params]
            self.constants = [parameter.name for parameter in function.params if parameter.is_constexpr]

    def __getitem__(self, grid: tuple[int, ...]) -> Callable[..., None]:
        return partial(self._launch, grid) if self.fast else self.function[grid]

    def _launch(self, grid: tuple[int, ...], *arguments: Any, **options: object) -> None:
        values, kinds, unusual = [], [], 0
        for argument, specialised in zip(arguments, self.specialised, strict=False):
            if isinstance(argument, Tensor):
                address = argument.data_ptr()
                unusual |= address % _ALIGNMENT
                kinds.append(argument.dtype)
                values.append(address)
                continue
            values.append(argument)
            if isinstance(argument, int):
                unusual |= argument >> 31
                if specialised:
                    kinds.append(argument)
        if unusual:
            self.function[grid](*arguments, **options)
            return
        key = (arguments[0].device.index, *kinds, *options.values())
        entry = self.compiled.get(key)
        if entry is None:
            compiled = self.function[grid](*arguments, **options)
            self.compiled[key] = compiled, [options[name] for name in self.constants]
            return
        compiled, constants = entry
        compiled[grid if len(grid) == 3 else (*grid, 1, 1)](*values, *constants)


def fast_launch(function: Any) -> FastLaunch:
    """Decorates a `triton.jit` function."""
    return FastLaunch(function)


@lru_cache
def processors(device: torch.device) -> int:
    """Multiprocessors of a GPU; of a CPU, where kernels are interpreted, enough that programs share work."""
    if device.type != 'cuda':
        return PROCESSORS_WITHOUT_GPU
    return torch.cuda.get_device_properties(device).multi_processor_count


def on_device_of(x: Tensor) -> AbstractContextManager:
    """Triton launches on the current device, whichever the tensors are on."""
    if not x.is_cuda or x.device.index == torch.cuda.current_device():
        return nullcontext()
    return torch.cuda.device(x.device)
