"""Numbers of the host on a GPU without synchronising with it, and its numbers on the host, synchronised late."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode

from swin_mmdet.ops.tracing import is_traced, remembered


def to_device(values: Any, like: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """A tensor of `values`, which may be nested or an array, on the device of `like` and of its type, or of `dtype`.

    Raises:
        RuntimeError: a CUDA graph is being recorded, whose replays would read the memory of these numbers.
    """
    if like.is_cuda and torch.cuda.is_current_stream_capturing():
        raise RuntimeError(f'numbers of the host, {values}, in a recording')
    made = torch.tensor(values, dtype=dtype or like.dtype)
    if not like.is_cuda or is_traced():
        return made.to(like.device)
    # a copy from memory that is not pinned, as that of `like.new_tensor`, may synchronise with the GPU
    return made.pin_memory().to(like.device, non_blocking=True)


class AsyncHostCopy:
    """A tensor on the way to the host, which may give a GPU other work until it needs the numbers."""

    def __init__(self, tensor: Tensor) -> None:
        self._on_host, self._arrived = tensor.detach(), None
        if tensor.is_cuda:
            self._on_host = torch.empty(tensor.shape, dtype=tensor.dtype, pin_memory=True)
            self._on_host.copy_(tensor.detach(), non_blocking=True)
            self._arrived = torch.cuda.Event()
            self._arrived.record()

    def wait(self) -> Tensor:
        """Of the host."""
        if self._arrived is not None:
            self._arrived.synchronize()
        return self._on_host.cpu()


class NewTensors(TorchFunctionMode):
    """Within this context `like.new_tensor(values)`, with which mmdet's parts make constants, is `make(values, like)`.

    make: such as `to_device`, or `constant_like` where nothing may come from the host.
    """

    def __init__(self, make: Callable[[Any, Tensor], Tensor]) -> None:
        super().__init__()
        self._make = make

    def __torch_function__(
        self, function: Callable, _types: Sequence[type], args: tuple = (), kwargs: dict | None = None
    ) -> object:
        """Called by torch in place of `function`."""
        if function is Tensor.new_tensor and not kwargs:
            like, values = args
            return self._make(values, like)
        return function(*args, **(kwargs or {}))


def constant_like(values: Any, like: Tensor) -> Tensor:
    """A `constant` on the device of `like` and of its type when `values` are some numbers, else a new tensor."""
    if isinstance(values, (list, tuple)) and all(isinstance(one, (int, float)) for one in values):
        return constant(tuple(values), like.device, like.dtype)
    return like.new_tensor(values)


# among them the sizes of images, of which a multi-scale training has hundreds
@remembered(1024)
def constant(values: tuple[float, ...], device: torch.device, dtype: torch.dtype = torch.float32) -> Tensor:
    """[n] on the device, made once and shared: not to be written into."""
    return torch.tensor(values, dtype=dtype, device=device)
