"""Grids, tiles and buffers of the Triton kernels: host code, no maths."""

from functools import lru_cache
from typing import NamedTuple

import torch
import triton
from torch import Tensor

from swin_mmdet.ops.residual_branch.pieces import Branch, Norm
from swin_mmdet.ops.residual_branch.triton_gelu_kernels import gelu_backward_kernel, gelu_forward_kernel
from swin_mmdet.ops.residual_branch.triton_norm_kernels import norm_backward_kernel, norm_forward_kernel
from swin_mmdet.ops.residual_branch.triton_post_norm_kernels import post_norm_backward_kernel, post_norm_forward_kernel
from swin_mmdet.ops.triton_column_sums import column_sums
from swin_mmdet.ops.triton_fast_launch import on_device_of, processors

# values in a tile and warps for it, by measurement on an H100: rows that fit one warp spare it the others' company
NORM_TILES = {'narrow': (4096, 8), 'wide': (2048, 2), 'channels first': (2048, 8)}
NARROW = 256  # columns
# columns first in memory: at least a sector of 32 bytes of each
MIN_ROWS_CHANNELS_FIRST = 8
# programs that sum gradients: enough to hide latency, few enough that their sums are little to write
NORM_PROGRAMS_PER_PROCESSOR = {'narrow': 2, 'wide': 4, 'channels first': 2}
GELU_TILE, GELU_COLUMNS, GELU_PROGRAMS_PER_PROCESSOR = 2048, 128, 8


class NormGradients(NamedTuple):
    """What `norm_backward` returns; `branch` and `y` are None where they were not asked for."""

    x: Tensor
    branch: Tensor | None
    y: Tensor | None
    sums: Tensor  # [3, C] float32: of the norm's weight, of its bias, of the branch's bias


def norm_forward(
    x: Tensor,
    branch: Branch | None,
    norm: Norm,
    y_dtype: torch.dtype,
    *,
    merge: bool = False,
    channels_first: bool = False,
    reuse: bool = False,
) -> tuple[Tensor, Tensor]:
    """x [B, H, W, C] with its branch added, and its norm: [B, H, W, C], merged [B, H/2, W/2, 4C] or [B, C, H, W].

    With `reuse` they take the memory of `x` and of the branch's values where they fit: a tile is read before it is
    written, and by one program.
    """
    plan = _plan(x.shape, norm.weight.shape[0], merge, channels_first)
    x_out = x if branch is None or reuse else torch.empty_like(x)
    if reuse and branch is not None and branch.values.dtype == y_dtype and not (merge or channels_first):
        y = branch.values
    else:
        y = torch.empty(plan.y_shape, dtype=y_dtype, device=x.device)
    if y.numel():
        values, branch_bias, scale = _arguments(x, branch)
        with on_device_of(x):
            norm_forward_kernel[(plan.tiles,)](
                x, values, branch_bias, scale, norm.weight, norm.bias, x_out, y, *plan.sizes, norm.eps, **plan.options,
                HAS_BRANCH=branch is not None, HAS_SCALE=branch is not None and branch.scale is not None,
                num_warps=plan.warps,
            )  # fmt: skip
    return x_out, y


def norm_backward(
    x: Tensor,
    dy: Tensor,
    dx_out: Tensor | None,
    scale: Tensor | None,
    branch_dtype: torch.dtype | None,
    norm: Norm,
    *,
    with_y: bool = False,
    merge: bool = False,
    channels_first: bool = False,
) -> NormGradients:
    """The gradients for x and its branch, from those of y and, if there is one, of x with its branch.

    `x` is the sum, branch included; without `branch_dtype` there was none. With `with_y` the forward's y is made again,
    in the dtype of `dy`.
    """
    plan = _plan(x.shape, norm.weight.shape[0], merge, channels_first)
    dx = torch.empty_like(x)
    has_branch = branch_dtype is not None
    dbranch = torch.empty_like(x, dtype=branch_dtype) if has_branch else None
    y = torch.empty_like(dy) if with_y else None
    programs = max(1, min(plan.tiles, plan.programs_per_processor * processors(x.device)))
    sums = torch.empty(programs, 3, norm.weight.shape[0], dtype=torch.float32, device=x.device)
    if not dy.numel():
        return NormGradients(dx, dbranch, y, sums.new_zeros(sums.shape[1:]))
    with on_device_of(x):
        norm_backward_kernel[(programs,)](
            x, dy, x if dx_out is None else dx_out.contiguous(), x if scale is None else scale,
            norm.weight, norm.bias, dx, dbranch if has_branch else x, y if with_y else x, sums, *plan.sizes,
            plan.tiles, norm.eps, **plan.options, HAS_DX_OUT=dx_out is not None, HAS_BRANCH=has_branch,
            HAS_SCALE=scale is not None, WITH_Y=with_y, num_warps=plan.warps,
        )  # fmt: skip
        total = column_sums(sums)
    return NormGradients(dx, dbranch, y, total)


def post_norm_forward(
    x: Tensor, branch: Branch, norm: Norm, dtype: torch.dtype, *, reuse: bool = False
) -> tuple[Tensor, Tensor]:
    """x [B, H, W, C] with the norm of its branch added, and the same in `dtype`; `reuse` as of `norm_forward`."""
    plan = _plan(x.shape, x.shape[3], False, False)
    x_out = x if reuse else torch.empty_like(x)
    if dtype == x.dtype:
        low = x_out
    else:
        low = branch.values if reuse and branch.values.dtype == dtype else torch.empty_like(x, dtype=dtype)
    if x.numel():
        with on_device_of(x):
            post_norm_forward_kernel[(plan.tiles,)](
                x, branch.values, branch.bias, x if branch.scale is None else branch.scale, norm.weight, norm.bias,
                x_out, low, plan.sizes[0], plan.sizes[3], norm.eps, **plan.post_options,
                HAS_SCALE=branch.scale is not None, HAS_LOW=low is not x_out, num_warps=plan.warps,
            )  # fmt: skip
    return x_out, low


def post_norm_backward(
    branch: Branch, dx_out: Tensor | None, dlow: Tensor | None, norm: Norm, x_dtype: torch.dtype
) -> NormGradients:
    """The gradients for x, its branch and, as sums, the norm and the branch's bias, from those of both results."""
    values = branch.values
    plan = _plan(values.shape, values.shape[3], False, False)
    dx, dvalues = torch.empty_like(values, dtype=x_dtype), torch.empty_like(values)
    programs = max(1, min(plan.tiles, plan.programs_per_processor * processors(values.device)))
    sums = torch.empty(programs, 3, values.shape[3], dtype=torch.float32, device=values.device)
    if not values.numel():
        return NormGradients(dx, dvalues, None, sums.new_zeros(sums.shape[1:]))
    with on_device_of(values):
        post_norm_backward_kernel[(programs,)](
            values, branch.bias, values if dx_out is None else dx_out.contiguous(),
            values if dlow is None else dlow.contiguous(), values if branch.scale is None else branch.scale,
            norm.weight, dx, dvalues, sums, plan.sizes[0], plan.sizes[3], plan.tiles, norm.eps, **plan.post_options,
            HAS_SCALE=branch.scale is not None, HAS_DX_OUT=dx_out is not None, HAS_DLOW=dlow is not None,
            num_warps=plan.warps,
        )  # fmt: skip
        total = column_sums(sums)
    return NormGradients(dx, dvalues, None, total)


def gelu_forward(h: Tensor, bias: Tensor, y: Tensor) -> Tensor:
    """Writes GELU(h + bias) to `y`, which may be `h`: [..., C]."""
    channels = h.shape[-1]
    rows = h.numel() // channels
    if rows:
        tile = GELU_TILE // GELU_COLUMNS
        with on_device_of(h):
            gelu_forward_kernel[(triton.cdiv(rows, tile), triton.cdiv(channels, GELU_COLUMNS))](
                h, bias, y, rows, C=channels, ROWS=tile, COLUMNS=GELU_COLUMNS
            )
    return y


def gelu_backward(h: Tensor, bias: Tensor, dy: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """dh [..., C] in the memory of `dy`, GELU(h + bias) again, and the gradient of the bias, float32."""
    channels = h.shape[-1]
    rows = h.numel() // channels
    y = torch.empty_like(h)
    tiles, blocks = triton.cdiv(rows, GELU_TILE // GELU_COLUMNS), triton.cdiv(channels, GELU_COLUMNS)
    programs = max(1, min(tiles, GELU_PROGRAMS_PER_PROCESSOR * processors(h.device) // blocks))
    sums = torch.empty(programs, channels, dtype=torch.float32, device=h.device)
    if not rows:
        return dy, y, sums.new_zeros(channels)
    with on_device_of(h):
        gelu_backward_kernel[(programs, blocks)](
            h, bias, dy, dy, y, sums, rows, tiles, C=channels, ROWS=GELU_TILE // GELU_COLUMNS, COLUMNS=GELU_COLUMNS
        )
        total = column_sums(sums)
    return dy, y, total


class _Plan(NamedTuple):
    y_shape: tuple[int, ...]
    tiles: int
    sizes: tuple[int, ...]
    options: dict
    warps: int
    programs_per_processor: int

    @property
    def post_options(self) -> dict:
        return {name: self.options[name] for name in ('C', 'COLUMNS', 'ROWS')}


@lru_cache(maxsize=256)
def _plan(shape: torch.Size, columns: int, merge: bool, channels_first: bool) -> _Plan:
    """How the rows of a map [B, H, W, C] are cut into tiles."""
    batch, height, width, _ = shape
    y_height, y_width = (-(-height // 2), -(-width // 2)) if merge else (height, width)
    y_shape = (batch, columns, height, width) if channels_first else (batch, y_height, y_width, columns)
    rows = y_height * y_width
    padded = triton.next_power_of_2(columns)
    kind = 'channels first' if channels_first else 'narrow' if padded <= NARROW else 'wide'
    values, warps = NORM_TILES[kind]
    tile = max(MIN_ROWS_CHANNELS_FIRST if channels_first else 1, values // padded)
    # a thread holds 64 values of a tile at most
    warps = max(warps, min(16, tile * padded // 2048))
    tiles_per_image = -(-rows // tile)
    options = {'C': columns, 'COLUMNS': padded, 'ROWS': tile, 'MERGE': merge, 'CHANNELS_FIRST': channels_first}
    sizes = rows, height, width, tiles_per_image
    return _Plan(y_shape, batch * tiles_per_image, sizes, options, warps, NORM_PROGRAMS_PER_PROCESSOR[kind])


def _arguments(x: Tensor, branch: Branch | None) -> tuple[Tensor, Tensor, Tensor]:
    """The branch's tensors, or `x` for a pointer that no kernel reads."""
    if branch is None:
        return x, x, x
    return branch.values, branch.bias, x if branch.scale is None else branch.scale
