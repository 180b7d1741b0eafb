"""Where the points lie and what they weigh: the paper's arithmetic on whole tensors."""

import torch
from torch import Tensor


def locate(spatial_shapes: Tensor, offsets: Tensor, reference_points: Tensor) -> Tensor:
    """Locations in 0..1, [B, Q, h, L, P, 2], at least float32; arguments as in `deformable_attention`."""
    dtype = torch.promote_types(offsets.dtype, torch.float32)
    offsets, reference_points = offsets.to(dtype), reference_points.to(dtype)
    center = reference_points[:, :, None, :, None, :2]
    if reference_points.shape[-1] == 2:
        # a level without a pixel has no sample, and must not have a gradient that is no number
        return center + offsets / spatial_shapes.flip(1)[:, None].clamp(min=1)
    half_size = reference_points[:, :, None, :, None, 2:] / 2
    return center + offsets / offsets.shape[4] * half_size


def locations_and_weights(
    spatial_shapes: Tensor, coords: Tensor, scores: Tensor, reference_points: Tensor | None
) -> tuple[Tensor, Tensor]:
    """Both as in `sample_levels`, at least float32; from offsets and logits, or without reference points as given."""
    dtype = torch.promote_types(coords.dtype, torch.float32)
    if reference_points is None:
        locations, weights = coords.to(dtype), scores.to(dtype)
    else:
        locations, weights = locate(spatial_shapes, coords, reference_points), scores.to(dtype).softmax(-1)
    return locations, weights.view(coords.shape[:-1])
