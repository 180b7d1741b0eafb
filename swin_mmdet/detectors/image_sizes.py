"""How large the images of a batch are to those who predict boxes in them."""

from collections.abc import Sequence

import torch
from torch import Tensor

from swin_mmdet.ops.to_device import to_device


def image_sizes(metas: Sequence[dict], like: Tensor) -> Tensor:
    """Width, height, width, height of each image as the model sees it, without padding: [B, 4] float32."""
    return to_device([meta['img_shape'][1::-1] * 2 for meta in metas], like, torch.float32)
