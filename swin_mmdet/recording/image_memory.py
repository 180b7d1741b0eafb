"""The memory from which recorded steps read their images."""

import torch
from torch import Tensor

from swin_mmdet.ops.memory_format import is_channels_last


class ImageMemory:
    """As much as the largest batch needs; those of other sizes lie in the same."""

    def __init__(self) -> None:
        self._memory = torch.empty(0)

    def room_for(self, images: Tensor) -> Tensor:
        """[B, C, H, W] as `images` are, and with their layout; what is in it means nothing.

        A room that was given before a larger batch came stays where it is.
        """
        memory = self._memory
        if memory.numel() < images.numel() or memory.dtype != images.dtype or memory.device != images.device:
            self._memory = memory = torch.empty(images.numel(), dtype=images.dtype, device=images.device)
        batch, channels, height, width = images.shape
        own = memory[: images.numel()]
        if is_channels_last(images):
            return own.view(batch, height, width, channels).permute(0, 3, 1, 2)
        return own.view(images.shape)
