"""Coordinates of queries, in shares of the image and float32 whatever autocast does: half has 8 to 11 bits of them."""

import math

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.to_device import constant
from swin_mmdet.ops.tracing import remembered


def inverse_sigmoid(x: Tensor, eps: float = 1e-5) -> Tensor:
    """Of x in 0..1, which is taken as no nearer than eps to either end; in float32, or float64 of such."""
    x = x.to(torch.promote_types(x.dtype, torch.float32)).clamp(min=0, max=1)
    return torch.log(x.clamp(min=eps) / (1 - x).clamp(min=eps))


def sine_encoding(coordinates: Tensor, num_feats: int, temperature: float = 10000) -> Tensor:
    """Of each coordinate `num_feats` sines and cosines in turns: [..., 2 or 4] -> [..., 2 or 4 times num_feats].

    Coordinates are (x, y) or (x, y, width, height); of their encodings that of y comes before that of x.
    """
    order = [1, 0, 2, 3][: coordinates.shape[-1]]
    coordinates = torch.stack([coordinates[..., axis] for axis in order], -1) * (2 * math.pi)
    angles = coordinates[..., None] / wavelengths(num_feats, temperature, coordinates.device)
    return torch.stack([angles[..., 0::2].sin(), angles[..., 1::2].cos()], -1).flatten(-3)


def with_sizes(references: Tensor) -> Tensor:
    """Points [..., 2] as boxes [..., 4] whose sizes are 0 before the sigmoid; boxes as they are."""
    return F.pad(references, (0, 4 - references.shape[-1]), value=0.5) if references.shape[-1] < 4 else references


@remembered(16)
def wavelengths(num_feats: int, temperature: float, device: torch.device) -> Tensor:
    """float32 [num_feats], of which two neighbours are the same; made once and shared: not to be written into."""
    exponents = 2 * (torch.arange(num_feats, dtype=torch.float32) // 2) / num_feats
    return constant(tuple((temperature**exponents).tolist()), device)


def precise_linear(x: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    """x [..., C], weight [D, C], bias [D] -> [..., D] in float32 also under autocast, or in float64 of such weights."""
    dtype = torch.promote_types(weight.dtype, torch.float32)
    with torch.autocast(x.device.type, enabled=False):
        return F.linear(x.to(dtype), weight.to(dtype), bias.to(dtype))
