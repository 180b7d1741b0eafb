"""The definition through PyTorch's own bilinear sampling: the oracle, and what CPUs run."""

import torch
import torch.nn.functional as F
from torch import Tensor

from swin_mmdet.ops.deformable_attention.locations import locations_and_weights


def reference_attention(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    coords: Tensor,
    scores: Tensor,
    reference_points: Tensor | None,
) -> Tensor:
    """Shapes as in `deformable_attention`, or without reference points as in `sample_levels`.

    Synchronises with a GPU, for the sizes.
    """
    locations, weights = locations_and_weights(spatial_shapes, coords, scores, reference_points)
    batch, _, heads, dim = value.shape
    queries = locations.shape[1]
    # half types are widened: locations decide which pixels are read
    pixels = value.to(locations.dtype).permute(0, 2, 3, 1).flatten(0, 1)
    # of each head of each image: [B * h, Q, L, P]
    locations, weights = (x.transpose(1, 2).flatten(0, 1) for x in (locations, weights))
    out = pixels.new_zeros(batch * heads, dim, queries)
    for level, ((height, width), start) in enumerate(zip(spatial_shapes.tolist(), level_start_index.tolist())):
        if height * width == 0:
            continue
        image = pixels[:, :, start : start + height * width].unflatten(2, (height, width))
        samples = F.grid_sample(image, 2 * locations[:, :, level] - 1, padding_mode='zeros', align_corners=False)
        out = out + torch.einsum('ndqp,nqp->ndq', samples, weights[:, :, level])
    return out.view(batch, heads * dim, queries).transpose(1, 2).to(value.dtype).contiguous()
