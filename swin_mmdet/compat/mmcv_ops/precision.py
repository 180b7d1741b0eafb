"""The precision an op computes in."""

import torch
from torch import Tensor


def widen(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Bring tensors to one dtype that every kernel has: float64 if the first one is, float32 otherwise."""
    dtype = torch.float64 if tensors[0].dtype == torch.float64 else torch.float32
    return tuple(tensor.to(dtype) for tensor in tensors)


def as_float32(value: float) -> float:
    """The value a C++ `float` argument would hold; a threshold such as 0.6 changes by this."""
    return torch.tensor(value, dtype=torch.float32).item()
