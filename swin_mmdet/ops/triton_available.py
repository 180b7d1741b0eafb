"""Whether Triton kernels run where tensors are: every operation with a kernel asks here first."""

from functools import lru_cache
from importlib.util import find_spec

import torch

DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MIN_CAPABILITY = (8, 0)
# torch 2.6 cannot tell an export from a compilation, which has the kernels
_is_exported = getattr(torch.compiler, 'is_exporting', lambda: False)


def why_not_kernels(device: torch.device, dtype: torch.dtype) -> str | None:
    """None when Triton kernels run on this device and dtype, else the reason in words."""
    if _is_exported():
        return 'an exported program should need no operator of ours'
    reason = _why_not_here(device)
    if reason is None and dtype not in DTYPES:
        return f'dtype {dtype} is not one of {DTYPES}'
    return reason


@torch.compiler.assume_constant_result
def _why_not_here(device: torch.device) -> str | None:
    """None when the kernels run on this machine and device; torch.compile need not look into this."""
    if find_spec('triton') is None:
        return 'triton is not installed'
    return _why_not_on(device)


@lru_cache
def _why_not_on(device: torch.device) -> str | None:
    if device.type != 'cuda':
        import triton

        # with TRITON_INTERPRET=1 before it is imported, Triton runs kernels on the CPU, for tests
        return None if triton.knobs.runtime.interpret else f'the tensors are on {device.type!r}, it needs a GPU'
    if torch.version.hip or torch.cuda.get_device_capability(device) < MIN_CAPABILITY:
        return 'it was made for NVIDIA GPUs of compute capability 8.0 or newer'
    return None
