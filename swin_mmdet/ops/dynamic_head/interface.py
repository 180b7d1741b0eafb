"""The public functions: a dynamic head's convolutions, moments of its maps, and what becomes of both."""

from collections.abc import Sequence

from torch import Tensor

from swin_mmdet.ops.backend import Backend, resolve_backend
from swin_mmdet.ops.dynamic_head import reference, triton_op
from swin_mmdet.ops.dynamic_head.levels import OFFSET_CHANNELS, Levels

CONVOLVE = (
    Backend('triton', triton_op.convolve, triton_op.why_not_triton, on_gpu=True),
    Backend('reference', reference.convolve),
)
MOMENTS = (
    Backend('triton', triton_op.moments, triton_op.why_not_triton, on_gpu=True),
    Backend('reference', reference.moments),
)
BLEND = (
    Backend('triton', triton_op.blend, triton_op.why_not_triton, on_gpu=True),
    Backend('reference', reference.blend),
)


def convolve_levels(
    rows: Tensor, offsets: Tensor, weights: Sequence[Tensor], levels: Levels, backend: str = 'auto'
) -> Tensor:
    """Modulated deformable convolutions of 3 x 3 (arXiv 1811.11168, equation 1) from and for all levels.

    A map that is smaller than that of the offsets it uses (`high`) reads each image's offsets as if they were of its
    own size, from the first number on; so does mmcv's operator, for which DyHead's published weights were trained.

    Args:
        rows: [N, C], see `Levels`.
        offsets: [N, 27]: (dy, dx) in pixels of each tap, then the logit of each tap's factor.
        weights: [D, C, 3, 3] of each kind.
        backend: 'auto' | 'triton' | 'reference'.

    Returns:
        The results, [rows of all kinds, D] in rows' dtype.

    Raises:
        ValueError: a shape that does not fit, by name and value.
    """
    count = sum(levels.counts())
    for name, x, channels in (('rows', rows, weights[0].shape[1]), ('offsets', offsets, OFFSET_CHANNELS)):
        if tuple(x.shape) != (count, channels):
            raise ValueError(f'{name} must be {[count, channels]}, got {list(x.shape)}')
    run = resolve_backend('convolve_levels', CONVOLVE, backend, rows).run
    return run(rows, offsets, list(weights), levels)


def segment_moments(rows: Tensor, segments: tuple[int, ...], backend: str = 'auto') -> tuple[Tensor, Tensor]:
    """Mean and variance (of all, not a sample's) of each segment and channel.

    Args:
        rows: [N, D].
        segments: rows of each, N in all.
        backend: 'auto' | 'triton' | 'reference'.

    Returns:
        [segments, D] each, float32 at least.

    Raises:
        ValueError: rows that do not fit.
    """
    if sum(segments) != len(rows) or not all(segments):
        raise ValueError(f'segments of {segments} rows, none empty, are not {len(rows)} rows')
    return resolve_backend('segment_moments', MOMENTS, backend, rows).run(rows, segments)


def blend_levels(
    results: Tensor, enlarged: Tensor, coefficients: Tensor, levels: Levels, backend: str = 'auto'
) -> Tensor:
    """The larger of two lines of a weighted sum of maps: max(a1 x + b1, a2 x + b2), x = m mid + l low + h high + p.

    Args:
        results: [rows, D] of `convolve_levels`.
        enlarged: [rows, D], `high` of all levels but the coarsest, in the size of the level.
        coefficients: [8, B * levels, D]: m, l, h, p, a1, b1, a2, b2 of each segment; float32 at least.
        backend: 'auto' | 'triton' | 'reference'.

    Returns:
        [N, D] in the dtype of `results`.
    """
    run = resolve_backend('blend_levels', BLEND, backend, results).run
    return run(results, enlarged, coefficients, levels)
