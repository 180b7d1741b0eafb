"""Grids, block sizes and buffers of the Triton kernels: host code, no maths.

All tensors are contiguous and on one device; pad, table and cosine_scale may be of any floating-point type.
"""

from functools import lru_cache

import torch
import triton
from torch import Tensor

from swin_mmdet.ops.shifted_window_attention.triton_kernels import backward_kernel, forward_kernel
from swin_mmdet.ops.shifted_window_attention.triton_sums import sums_kernel
from swin_mmdet.ops.triton_fast_launch import on_device_of

# programs for each multiprocessor: enough to hide latency, few enough to sum many windows before a write
PROGRAMS_PER_PROCESSOR = {'forward': 4, 'backward': 4}
WARPS = {'forward': 2, 'backward': 4}
PROCESSORS_WITHOUT_GPU = 2
# of the kernel that sums what the backward programs found: numbers that it reads at once
SUMS_TILE = 8192
SUMS_WARPS = 8


def launch_forward(
    qkv: Tensor,
    table: Tensor,
    pad: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float | None,
) -> Tensor:
    """[B, H, W, 3C], [(2*window_size-1)**2, h], [3C] or None, [h] or None -> [B, H, W, C]; no scale with a cosine."""
    batch, height, width, channels = qkv.shape
    out = qkv.new_empty(batch, height, width, channels // 3)
    if out.numel():
        grid, sizes, options = _plan(qkv, table, pad, cosine_scale, window_size, shift_size, 'forward')
        with on_device_of(qkv):
            forward_kernel[grid](
                qkv, table, table if pad is None else pad, table if cosine_scale is None else cosine_scale, out,
                *sizes, 1.0 if scale is None else scale, **options,
            )  # fmt: skip
    return out


def launch_backward(
    dout: Tensor,
    qkv: Tensor,
    table: Tensor,
    pad: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    scale: float | None,
    *,
    sum_all: bool = False,
    with_out: bool = False,
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """The gradients of qkv, and in float32 of the table, of pad [3C] and of cosine_scale [h] or None; out or None.

    `sum_all`: the third is the sum of the first over every token, those of the map and of the padding: the gradient of
    the qkv layer's bias, where pad is that bias. Else only over padding tokens, as is the gradient of a pad of its own.
    `with_out`: the last is the forward's output, made again; else None.
    """
    heads, channels = table.shape[1], qkv.shape[3] // 3
    dqkv = torch.empty_like(qkv)
    out = torch.empty_like(dout) if with_out else None
    new = torch.empty if qkv.numel() else torch.zeros
    dtable = new(table.shape, dtype=torch.float32, device=qkv.device)
    dpad = new(3 * channels, dtype=torch.float32, device=qkv.device)
    dcosine_scale = None if cosine_scale is None else new(heads, dtype=torch.float32, device=qkv.device)
    if not qkv.numel():
        return dqkv, dtable, dpad, dcosine_scale, out
    grid, sizes, options = _plan(qkv, table, pad, cosine_scale, window_size, shift_size, 'backward')
    sums = 'all' if sum_all else 'padding' if options['HAS_PAD'] else 'none'
    numbers = heads * window_size**4 + 3 * channels + heads
    partial = torch.empty(grid[0], numbers, dtype=torch.float32, device=qkv.device)
    with on_device_of(qkv):
        backward_kernel[grid](
            qkv, table, table if pad is None else pad, table if cosine_scale is None else cosine_scale, dout, dqkv,
            dqkv if out is None else out, partial, *sizes, 1.0 if scale is None else scale, SUMS=sums,
            WITH_OUT=with_out, **options,
        )  # fmt: skip
        pairs = triton.next_power_of_2(window_size**2)
        rows = min(triton.next_power_of_2(_programs(qkv.device, heads, 'backward')), SUMS_TILE // pairs)
        sums_kernel[2 * window_size, heads](
            partial, dtable, dpad, dpad if dcosine_scale is None else dcosine_scale, grid[0], channels,
            WINDOW=window_size, PAIRS=pairs, SIDE=triton.next_power_of_2(2 * window_size - 1),
            HEAD_DIM=options['HEAD_DIM'], SUMS=sums, COSINE=options['COSINE'], ROWS=rows,
            num_warps=SUMS_WARPS,
        )  # fmt: skip
    return dqkv, dtable, dpad, dcosine_scale, out


def _plan(
    qkv: Tensor,
    table: Tensor,
    pad: Tensor | None,
    cosine_scale: Tensor | None,
    window_size: int,
    shift_size: int,
    direction: str,
) -> tuple[tuple[int, int], tuple[int, ...], dict]:
    """The grid, the sizes that a kernel takes, and what it is compiled for."""
    batch, height, width, channels = qkv.shape
    heads = table.shape[1]
    rows, columns = -(-height // window_size), -(-width // window_size)
    windows = batch * rows * columns
    per_program = -(-windows // _programs(qkv.device, heads, direction))
    sizes = (height, width, rows, columns, windows, per_program, shift_size, channels // 3)
    options = {
        'WINDOW': window_size,
        'BLOCK': max(16, triton.next_power_of_2(window_size**2)),
        'HEAD_DIM': channels // 3 // heads,
        'HAS_PAD': pad is not None and (height % window_size or width % window_size) != 0,
        'COSINE': cosine_scale is not None,
        'PRECISION': 'ieee' if qkv.dtype == torch.float32 and not _tf32(qkv) else 'tf32',
        'num_warps': WARPS[direction],
    }
    return (-(-windows // per_program), heads), sizes, options


@lru_cache
def _programs(device: torch.device, heads: int, direction: str) -> int:
    """The most programs for each head."""
    processors = PROCESSORS_WITHOUT_GPU
    if device.type == 'cuda':
        processors = torch.cuda.get_device_properties(device).multi_processor_count
    return max(1, PROGRAMS_PER_PROCESSOR[direction] * processors // heads)


def _tf32(qkv: Tensor) -> bool:
    """Whether the user lets matrix products of float32 round their inputs."""
    return qkv.is_cuda and torch.backends.cuda.matmul.allow_tf32
