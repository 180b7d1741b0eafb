"""Deformable attention for exported programs, which know the sizes of maps before the maps: one bilinear sampling each.

ONNX has that sampling as GridSample. TensorRT has it from 8.5 on.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor


def exported_attention(
    value: Tensor, sizes: Sequence[tuple[int, int]], reference_points: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    """Shapes as in `deformable_attention`; sizes are height and width of each level."""
    batch, _, heads, dim = value.shape
    queries, points = offsets.shape[1], offsets.shape[4]
    dtype = torch.promote_types(offsets.dtype, torch.float32)
    offsets, reference_points = offsets.to(dtype), reference_points.to(dtype)
    # [B * h, d, S] and, of each level, [B * h, Q, P]
    pixels = value.to(dtype).permute(0, 2, 3, 1).flatten(0, 1)
    weights = logits.to(dtype).softmax(-1).unflatten(-1, (len(sizes), points)).transpose(1, 2).flatten(0, 1)
    out = torch.zeros((), dtype=dtype, device=value.device)
    levels = pixels.split([height * width for height, width in sizes], 2)
    for level, ((height, width), own) in enumerate(zip(sizes, levels, strict=True)):
        center = reference_points[:, :, None, level, None, :2]
        if reference_points.shape[-1] == 2:
            shares = offsets[:, :, :, level].unbind(-1)
            moves = torch.stack([shares[0] / width, shares[1] / height], -1)
        else:
            moves = offsets[:, :, :, level] / points * (reference_points[:, :, None, level, None, 2:] / 2)
        places = (2 * (center + moves) - 1).transpose(1, 2).flatten(0, 1)
        samples = F.grid_sample(own.unflatten(2, (height, width)), places, padding_mode='zeros', align_corners=False)
        out = out + (samples * weights[:, None, :, level]).sum(-1)
    return out.reshape(batch, heads * dim, queries).transpose(1, 2).to(value.dtype)
