"""Linear layers of one shape, each for its own input, in one matrix product."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn


def stacked_linear(x: Tensor, layers: Sequence[nn.Linear], *, precise: bool = False) -> Tensor:
    """The first layer's of x[0], and so on: [S, ..., C] -> [S, ..., D].

    `precise`: in float32 also under autocast, or in float64 of such weights.
    """
    weight, bias = torch.stack([layer.weight for layer in layers]), torch.stack([layer.bias for layer in layers])
    dtype = torch.promote_types(weight.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=not precise and torch.is_autocast_enabled(x.device.type)):
        if precise:
            x, weight, bias = x.to(dtype), weight.to(dtype), bias.to(dtype)
        return torch.baddbmm(bias[:, None], x.flatten(1, -2), weight.mT).unflatten(1, x.shape[1:-1])
