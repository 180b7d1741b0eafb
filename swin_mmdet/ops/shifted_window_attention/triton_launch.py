"""Buffers and launches of the Triton kernels: host code, no maths."""

import torch
import triton
from torch import Tensor

from swin_mmdet.ops.shifted_window_attention.triton_grid import Call
from swin_mmdet.ops.shifted_window_attention.triton_kernels import backward_kernel, forward_kernel
from swin_mmdet.ops.shifted_window_attention.triton_large_window_kernels import (
    keys_kernel,
    large_forward_kernel,
    pairs_kernel,
    queries_kernel,
)
from swin_mmdet.ops.shifted_window_attention.triton_sums import sums_kernel
from swin_mmdet.ops.triton_fast_launch import on_device_of

# of the kernel that sums what the backward programs have each summed: the most numbers that it reads at once
SUMS_TILE = 8192
SUMS_WARPS = 8
MAX_HEAD_DIM = 64


def launch_forward(call: Call) -> Tensor:
    """[B, H, W, C]."""
    *size, channels = call.qkv.shape
    out = call.qkv.new_empty(*size, channels // 3)
    if out.numel():
        kind, kernel = ('large_forward', large_forward_kernel) if call.is_large else ('forward', forward_kernel)
        grid, sizes, options = call.plan(kind)
        with on_device_of(out):
            kernel[grid](*call.tensors(), out, *sizes, **options)
    return out


def launch_backward(
    dout: Tensor, call: Call, *, sum_all: bool, with_out: bool
) -> tuple[Tensor, Tensor, Tensor, Tensor | None, Tensor | None]:
    """As `attention_backward` has it."""
    qkv = call.qkv
    dqkv = torch.empty_like(qkv)
    out = torch.empty_like(dout) if with_out else None
    dtable = _floats(qkv, *call.table.shape)
    dpad = _floats(qkv, qkv.shape[3])
    dcosine_scale = None if call.cosine_scale is None else _floats(qkv, call.heads)
    if qkv.numel():
        sums = 'all' if sum_all else 'padding' if call.has_pad else 'none'
        run = _backward_large if call.is_large else _backward
        with on_device_of(qkv):
            pair_sums, token_sums = run(call, dout, dqkv, out, sums)
            _sum(call, pair_sums, token_sums, dtable, dpad, dcosine_scale, sums)
    else:
        for empty in (dtable, dpad, dcosine_scale):
            if empty is not None:
                empty.zero_()
    return dqkv, dtable, dpad, dcosine_scale, out


def _backward(call: Call, dout: Tensor, dqkv: Tensor, out: Tensor | None, sums: str) -> tuple[Tensor, Tensor]:
    """Fills dqkv and out; what `sums_kernel` sums."""
    grid, sizes, options = call.plan('backward')
    pair_sums = _floats(dqkv, grid[0], call.heads * call.window_size**4)
    token_sums = _floats(dqkv, grid[0], 3 * call.channels + call.heads)
    backward_kernel[grid](
        *call.tensors(), dout, dqkv, dqkv if out is None else out, pair_sums, token_sums, *sizes, SUMS=sums,
        WITH_OUT=out is not None, **options,
    )  # fmt: skip
    return pair_sums, token_sums


def _backward_large(call: Call, dout: Tensor, dqkv: Tensor, out: Tensor | None, sums: str) -> tuple[Tensor, Tensor]:
    """As `_backward`, in three kernels."""
    tensors = call.tensors()
    statistics = _floats(dqkv, 3, call.windows * call.heads * call.window_size**2)
    grid, sizes, options = call.plan('large_tokens')
    token_sums = _floats(dqkv, grid[0], 3 * call.channels + call.heads)
    queries_kernel[grid](
        *tensors, dout, dqkv, dqkv if out is None else out, statistics, token_sums, *sizes, SUMS=sums,
        WITH_OUT=out is not None, **options,
    )  # fmt: skip
    keys_kernel[grid](*tensors, dout, dqkv, statistics, token_sums, *sizes, SUMS=sums, **options)
    grid, sizes, options = call.plan('large_pairs')
    windows, per_program = (int(size) for size in sizes[4:6])
    pair_sums = _floats(dqkv, -(-windows // per_program), call.heads * call.window_size**4)
    pairs_kernel[grid](*tensors, dout, statistics, pair_sums, *sizes, **options)
    return pair_sums, token_sums


def _sum(
    call: Call,
    pair_sums: Tensor,
    token_sums: Tensor,
    dtable: Tensor,
    dpad: Tensor,
    dcosine_scale: Tensor | None,
    sums: str,
) -> None:
    """Fills the gradients that sum over windows."""
    x, dx = triton.next_power_of_2(call.window_size), triton.next_power_of_2(2 * call.window_size - 1)
    rows = SUMS_TILE // max(x * dx, MAX_HEAD_DIM)
    sums_kernel[2 * call.window_size, call.heads](
        pair_sums, token_sums, dtable, dpad, dpad if dcosine_scale is None else dcosine_scale, pair_sums.shape[0],
        token_sums.shape[0], call.channels, WINDOW=call.window_size, X=x, DX=dx,
        HEAD_DIM=call.channels // call.heads, SUMS=sums, COSINE=dcosine_scale is not None, ROWS=rows,
        num_warps=SUMS_WARPS,
    )  # fmt: skip


def _floats(like: Tensor, *size: int) -> Tensor:
    return torch.empty(size, dtype=torch.float32, device=like.device)
