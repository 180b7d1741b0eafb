"""The public ops. Their border is what the linear layers give: softmax, arithmetic of locations and sampling inside."""

from torch import Tensor

from swin_mmdet.ops.backend import resolve_backend
from swin_mmdet.ops.deformable_attention.backends import BACKENDS


def deformable_attention(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    reference_points: Tensor,
    offsets: Tensor,
    logits: Tensor,
    *,
    backend: str = 'auto',
) -> Tensor:
    """Each query reads P points of each of L levels in each head, and adds them up with weights of softmax.

    Paper: arXiv 2010.04159, equation 3. Places and weights are computed in float32 whatever the inputs are in.

    Args:
        value: [B, S, h, d], the pixels of all levels in a row, S = the sum of H * W.
        spatial_shapes: [L, 2] int64, H and W of each level, on value's device: nothing synchronises for them.
        level_start_index: [L] int64, the first pixel of each level.
        reference_points: [B, Q, L, 2], x and y in 0..1, to which offsets are added in pixels of a level; or
            [B, Q, L, 4], center and size of a box in 0..1, to whose center offsets are added in halves of its size,
            divided by P.
        offsets: [B, Q, h, L, P, 2], x first.
        logits: [B, Q, h, L * P], of the weights.
        backend: 'auto' | 'triton' | 'embedding_bag' | 'reference'.

    Returns:
        [B, Q, h * d] in value's dtype. A sample between a pixel and the border of a level is partly zero, as is one
        outside; without a level the result is zero.

    Raises:
        ValueError: a shape or backend that does not fit, by name and value.
    """
    _check(value, spatial_shapes, offsets, 'offsets')
    batch, queries, heads, levels, points, _ = offsets.shape
    if logits.shape != (batch, queries, heads, levels * points):
        raise ValueError(
            f'logits must be [{batch}, {queries}, {heads}, {levels * points}] as offsets say, got {tuple(logits.shape)}'
        )
    sizes = tuple(reference_points.shape)
    if sizes not in ((batch, queries, levels, 2), (batch, queries, levels, 4)):
        raise ValueError(f'reference_points must be [{batch}, {queries}, {levels}, 2 or 4], got {sizes}')
    run = resolve_backend('deformable_attention', BACKENDS, backend, value).run
    return run(value, spatial_shapes, level_start_index, offsets, logits, reference_points)


def sample_levels(
    value: Tensor,
    spatial_shapes: Tensor,
    level_start_index: Tensor,
    locations: Tensor,
    weights: Tensor,
    *,
    backend: str = 'auto',
) -> Tensor:
    """The last step of `deformable_attention` alone, as mmcv's function: locations and weights are given.

    Args:
        value, spatial_shapes, level_start_index, backend: as there.
        locations: [B, Q, h, L, P, 2], x and y in 0..1.
        weights: [B, Q, h, L, P].

    Returns:
        [B, Q, h * d] in value's dtype.

    Raises:
        ValueError: a shape or backend that does not fit, by name and value.
    """
    _check(value, spatial_shapes, locations, 'locations')
    if weights.shape != locations.shape[:-1]:
        raise ValueError(f'weights must be {list(locations.shape[:-1])} as locations say, got {tuple(weights.shape)}')
    run = resolve_backend('deformable_attention', BACKENDS, backend, value).run
    return run(value, spatial_shapes, level_start_index, locations, weights.flatten(3), None)


def _check(value: Tensor, spatial_shapes: Tensor, coords: Tensor, name: str) -> None:
    if value.dim() != 4 or not value.is_floating_point():
        raise ValueError(f'value must be [B, S, h, d] of floating point, got {value.dtype} {tuple(value.shape)}')
    if coords.dim() != 6 or coords.shape[-1] != 2:
        raise ValueError(f'{name} must be [B, Q, h, L, P, 2], got {tuple(coords.shape)}')
    batch, _, heads, _ = value.shape
    if (coords.shape[0], coords.shape[2]) != (batch, heads):
        raise ValueError(
            f'{name} have {coords.shape[0]} images and {coords.shape[2]} heads, value has {batch} and {heads}'
        )
    if tuple(spatial_shapes.shape) != (coords.shape[3], 2):
        sizes = list(spatial_shapes.shape)
        raise ValueError(f'spatial_shapes must be [{coords.shape[3]}, 2] as {name} say, got {sizes}')
