"""Grids, block sizes and buffers of the Triton kernels: host code, no maths."""

import torch
import triton
from torch import Tensor

from swin_mmdet.ops.shifted_window_attention.triton_kernels import backward_kernel, forward_kernel

# programs for each multiprocessor: enough to hide latency, few enough to sum many windows before a write
PROGRAMS_PER_PROCESSOR = {'forward': 16, 'backward': 8}
WARPS = {'forward': 2, 'backward': 4}
PROCESSORS_WITHOUT_GPU = 2


def launch_forward(
    qkv: Tensor, bias: Tensor, pad: Tensor | None, window_size: int, shift_size: int, scale: float
) -> Tensor:
    """[B, H, W, 3C], [h, n, n], [3C] or None -> [B, H, W, C]; contiguous inputs."""
    out = qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3)
    grid, sizes, options = _plan(qkv, bias, pad, window_size, shift_size, 'forward')
    # Triton launches on the current device, whichever the tensors are on
    with torch.cuda.device_of(qkv):
        if out.numel():
            forward_kernel[grid](qkv, bias, bias if pad is None else pad, out, *sizes, scale, **options)
    return out


def launch_backward(
    dout: Tensor, qkv: Tensor, bias: Tensor, pad: Tensor | None, window_size: int, shift_size: int, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    """The gradients of qkv, bias [h, n, n] float32 and pad [3C] float32 (zeros without padding tokens)."""
    dqkv = torch.empty_like(qkv)
    grid, sizes, options = _plan(qkv, bias, pad, window_size, shift_size, 'backward')
    channels = qkv.shape[3] // 3
    dbias = bias.new_zeros(grid[0], *bias.shape, dtype=torch.float32)
    dpad = bias.new_zeros(grid[0], 2 * channels, dtype=torch.float32)
    with torch.cuda.device_of(qkv):
        if dqkv.numel():
            backward_kernel[grid](
                qkv, bias, bias if pad is None else pad, dout, dqkv, dbias, dpad, *sizes, scale, **options
            )
    dpad = torch.cat([dpad.new_zeros(channels), dpad.sum(0)])
    return dqkv, dbias.sum(0), dpad


def _plan(
    qkv: Tensor, bias: Tensor, pad: Tensor | None, window_size: int, shift_size: int, direction: str
) -> tuple[tuple[int, int], tuple[int, ...], dict]:
    """The grid, the sizes that a kernel takes, and what it is compiled for."""
    batch, height, width, channels = qkv.shape
    heads, tokens = bias.shape[:2]
    rows, columns = -(-height // window_size), -(-width // window_size)
    windows = batch * rows * columns
    processors = (
        torch.cuda.get_device_properties(qkv.device).multi_processor_count if qkv.is_cuda else PROCESSORS_WITHOUT_GPU
    )
    programs = max(1, PROGRAMS_PER_PROCESSOR[direction] * processors // heads)
    per_program = max(1, -(-windows // programs))
    sizes = (height, width, rows, columns, windows, per_program, shift_size, channels // 3)
    options = {
        'WINDOW': window_size,
        'N': tokens,
        'BLOCK': max(16, triton.next_power_of_2(tokens)),
        'HEAD_DIM': channels // 3 // heads,
        'HAS_PAD': pad is not None and (height % window_size or width % window_size) != 0,
        'PRECISION': 'ieee' if qkv.dtype == torch.float32 and not _tf32(qkv) else 'tf32',
        'num_warps': WARPS[direction],
    }
    return (max(1, -(-windows // per_program)), heads), sizes, options


def _tf32(qkv: Tensor) -> bool:
    """Whether the user lets matrix products of float32 round their inputs."""
    return qkv.is_cuda and torch.backends.cuda.matmul.allow_tf32
