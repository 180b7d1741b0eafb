"""The public op: a convolution whose every sample is moved by an offset of its own."""

from torch import Tensor

from swin_mmdet.ops.backend import Backend, resolve_backend
from swin_mmdet.ops.deformable_convolution.by_torchvision import torchvision_convolution
from swin_mmdet.ops.deformable_convolution.geometry import Geometry
from swin_mmdet.ops.deformable_convolution.triton_op import triton_convolution, why_not_triton

BACKENDS = (
    Backend('triton', triton_convolution, why_not_triton, on_gpu=True),
    Backend('torchvision', torchvision_convolution),
)


def deformable_convolution(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    mask: Tensor | None = None,
    *,
    stride: tuple[int, int] = (1, 1),
    padding: tuple[int, int] = (0, 0),
    dilation: tuple[int, int] = (1, 1),
    groups: int = 1,
    offset_groups: int = 1,
    backend: str = 'auto',
) -> Tensor:
    """Deformable convolution (arXiv 1703.06211, equation 2), with a mask the modulated one (1811.11168, equation 1).

    Samples are bilinear, zero outside the map, and partly zero between its outermost pixels and the next that would be.
    Places are computed in float32, products accumulated as in a convolution of that dtype.

    Args:
        input: [B, C, H, W]; faster with channels innermost.
        offset: [B, offset_groups * kh * kw * 2, h, w], pairs (dy, dx) in pixels for each tap.
        weight: [D, C / groups, kh, kw].
        bias: [D].
        mask: [B, offset_groups * kh * kw, h, w], a factor for each sample.
        offset_groups: parts of the channels with offsets of their own.
        backend: 'auto' | 'triton' | 'torchvision'.

    Returns:
        [B, D, h, w] in input's dtype.

    Raises:
        ValueError: a shape or backend that does not fit, by name and value.
    """
    geometry = Geometry(stride, padding, dilation, groups, offset_groups)
    size = geometry.out_size(input, weight)
    taps = weight.shape[2] * weight.shape[3] * offset_groups
    channels = weight.shape[1] * groups
    if input.shape[1] != channels or channels % offset_groups or len(weight) % groups:
        raise ValueError(
            f'input has {input.shape[1]} channels; weight {tuple(weight.shape)} in {groups} groups takes {channels}, '
            f'which {offset_groups} offset_groups must divide'
        )
    for name, x, parts in (('offset', offset, 2 * taps), ('mask', mask, taps)):
        if x is not None and tuple(x.shape) != (len(input), parts, *size):
            raise ValueError(f'{name} must be {[len(input), parts, *size]}, got {list(x.shape)}')
    run = resolve_backend('deformable_convolution', BACKENDS, backend, input).run
    return run(input, offset, mask, weight, bias, geometry)
