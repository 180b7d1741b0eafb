"""Linear layers of one shape, each for its own input, in one matrix product."""

from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn


def stacked_linear(x: Tensor, layers: Sequence[nn.Linear], *, precise: bool = False) -> Tensor:
    """The first layer's of x[0], and so on: [S, ..., C] -> [S, ..., D].

    `precise`: in float32 also under autocast, or in float64 of such weights.
    """
    weight, bias = torch.stack([layer.weight for layer in layers]), torch.stack([layer.bias for layer in layers])
    flat = x.flatten(1, -2)
    if precise:
        dtype = torch.promote_types(weight.dtype, torch.float32)
        flat, weight, bias = flat.to(dtype), weight.to(dtype), bias.to(dtype)
    with torch.autocast(x.device.type, enabled=False) if precise else nullcontext():
        return torch.baddbmm(bias[:, None], flat, weight.mT).unflatten(1, x.shape[1:-1])
