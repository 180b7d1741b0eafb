"""Whether operations are being traced, and constants that outlive a call but never come from a trace."""

import threading
from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from functools import lru_cache, wraps

import torch
from torch.utils._python_dispatch import is_in_torch_dispatch_mode

# torch 2.6 cannot tell an export from a compilation
is_exported = getattr(torch.compiler, 'is_exporting', torch.compiler.is_compiling)
_innermost_transformation = torch._C._functorch.peek_interpreter_stack
_kept = threading.local()


def is_transformed() -> bool:
    """Whether a transformation of `torch.func` runs, such as `vmap` or `grad`."""
    # which a compiler asks as well, and answers for itself
    return not torch.compiler.is_compiling() and _innermost_transformation() is not None


def is_traced() -> bool:
    """Whether tensors that are made now may be stand-ins, or somebody watches the operations on them.

    Under `torch.compile`, `torch.export`, `torch.jit.trace`, fake tensors and other modes of dispatch, the
    transformations of `torch.func`, and where the meta device is the default.
    """
    return (
        torch.compiler.is_compiling()
        or torch.jit.is_tracing()
        or is_in_torch_dispatch_mode()
        or _innermost_transformation() is not None
        # a default device is a mode of functions: without any the question, which takes 7 us, is not asked
        or (torch._C._len_torch_function_stack() > 0 and torch.get_default_device().type == 'meta')
    )


def remembered(max_results: int) -> Callable[[Callable], Callable]:
    """A decorator of functions that make tensors from sizes, dtypes and devices: the last `max_results` are kept.

    They are shared, so not to be written into. A trace neither fills nor reads this: what is made inside one means
    nothing outside, and what was made outside would be one of the traced program's weights.
    """

    def decorate(make: Callable) -> Callable:
        @lru_cache(maxsize=max_results)
        def keep(*arguments: Hashable) -> object:
            # an inference tensor would make a training step after an evaluation fail in backward
            with torch.inference_mode(False), torch.no_grad(), _beside_recordings():
                return make(*arguments)

        @wraps(make)
        def recall(*arguments: Hashable) -> object:
            if is_traced():
                return make(*arguments)
            made = keep(*arguments)
            readers = getattr(_kept, 'readers', None)
            if readers is not None:
                readers.append(made)
            return made

        vars(recall).update(cache_clear=keep.cache_clear, cache_info=keep.cache_info)
        return recall

    return decorate


@contextmanager
def _beside_recordings() -> Iterator[None]:
    """What is made meanwhile is made at once, in memory of its own, also where a CUDA graph is being recorded."""
    if not (torch.cuda.is_initialized() and torch.cuda.is_current_stream_capturing()):
        yield
        return
    # which no other stream of PyTorch's waits for
    stream = torch.cuda.default_stream()
    with torch.cuda.stream(stream):
        yield
    stream.synchronize()


@contextmanager
def kept_alive() -> Iterator[list[object]]:
    """All that `remembered` functions return meanwhile in this thread, for a recording that will read their memory."""
    before = getattr(_kept, 'readers', None)
    _kept.readers = made = []
    try:
        yield made
    finally:
        _kept.readers = before
