"""A convolution whose results are distances."""

from contextlib import nullcontext

import torch
from torch import Tensor, nn


class PreciseConv2d(nn.Conv2d):
    """In float32 also under autocast: of distances in half, boxes of large objects are off by pixels."""

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] -> [B, D, H, W]."""
        dtype, device = torch.promote_types(self.weight.dtype, torch.float32), x.device.type
        bias = None if self.bias is None else self.bias.to(dtype)
        # the meta device has no autocast
        has_autocast = torch.amp.is_autocast_available(device)
        with torch.autocast(device, enabled=False) if has_autocast else nullcontext():
            return self._conv_forward(x.to(dtype), self.weight.to(dtype), bias)
