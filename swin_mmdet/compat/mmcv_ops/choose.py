"""Which implementation of an op runs: mmcv's compiled one where it takes the tensors, else ours behind the same name.

A compiled mmcv has no bfloat16, no half precision on CPUs, and built without CUDA nothing on GPUs: it raises
NotImplementedError, in the middle of a training in mixed precision.
"""

from collections.abc import Callable
from functools import wraps
from types import ModuleType

import torch
from torch import Tensor

from swin_mmdet.ops.log import log_once

# what a module that was compiled without CUDA raises on a GPU; asking for its version instead crashes some builds
NO_DEVICE = 'implementation for device'
# what the compiled kernels of boxes read, whatever they are given
ONLY_FLOAT32 = ('nms', 'softnms', 'nms_match')


def add_ours(module: ModuleType, ours: dict[str, Callable]) -> None:
    """Let each op of the compiled module step aside for ours where it cannot run."""
    for name, function in ours.items():
        compiled = getattr(module, name, None)
        setattr(module, name, _chosen(name, compiled, function) if compiled else function)


def why_not_compiled(name: str, device: torch.device, dtype: torch.dtype) -> str | None:
    """None when mmcv's compiled op, built for this kind of device, runs on such tensors; else the reason in words."""
    taken = [torch.float32]
    if name not in ONLY_FLOAT32:
        taken += [torch.float64] + [torch.float16] * (device.type != 'cpu')
    return None if dtype in taken else f'it has no {dtype} on {device.type!r}'


def _chosen(name: str, compiled: Callable, ours: Callable) -> Callable:
    absent: set[str] = set()

    @wraps(ours)
    def run(*args: object, **kwargs: object) -> object:
        operands = (x for x in (*args, *kwargs.values()) if isinstance(x, Tensor) and x.is_floating_point())
        first = next(operands, None)
        reason = None if first is None else why_not_compiled(name, first.device, first.dtype)
        if reason is None and (first is None or first.device.type not in absent):
            try:
                return compiled(*args, **kwargs)
            except RuntimeError as error:
                if first is None or NO_DEVICE not in str(error):
                    raise
                absent.add(first.device.type)
        if reason is None and first is not None:
            reason = f'it was built without {first.device.type!r}'
        log_once(f"{name}: mmcv's compiled op is not used: {reason}")
        return ours(*args, **kwargs)

    return run
