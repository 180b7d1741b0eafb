"""How the Triton kernels are cut to the map and to the GPU: grids, tiles, warps, and what they are compiled for."""

from typing import NamedTuple

import torch
import triton
from torch import Tensor

from swin_mmdet.ops.triton_fast_launch import processors

# tokens of a window that is one tile
MAX_TILE = 64
# programs for each multiprocessor: enough to hide latency, few enough to sum many windows before a write
PROGRAMS_PER_PROCESSOR = {'forward': 4, 'backward': 4, 'large_forward': 64, 'large_tokens': 16, 'large_pairs': 4}
WARPS = {'forward': 2, 'backward': 4, 'large_forward': 4, 'large_tokens': 4, 'large_pairs': 4}
# of the kernels of large windows: tokens of a program's own tile, and of those that it goes over
OWN = {'large_forward': 64, 'large_tokens': 64, 'large_pairs': 64}
OTHER = {'large_forward': 32, 'large_tokens': 32, 'large_pairs': 64}
# the own tile of the first two kinds where it divides the window and registers suffice
WIDE_OWN = 128
# loads ahead of their use would take registers that those kernels have not, and with float32 too much shared memory
LARGE_STAGES = 1


class Call(NamedTuple):
    """The arguments of the op, as both directions take them: contiguous, on one device.

    qkv [B, H, W, 3C], table [(2*window_size-1)**2, h], pad [3C] or None, cosine_scale [h] or None, in whose place
    scale is not read. Only qkv need be of a type that the kernels multiply in.
    """

    qkv: Tensor
    table: Tensor
    pad: Tensor | None
    cosine_scale: Tensor | None
    window_size: int
    shift_size: int
    scale: float

    @property
    def heads(self) -> int:
        return self.table.shape[1]

    @property
    def channels(self) -> int:
        return self.qkv.shape[3] // 3

    @property
    def is_large(self) -> bool:
        """Whether a window has more tokens than one tile."""
        return self.window_size**2 > MAX_TILE

    @property
    def has_pad(self) -> bool:
        """Whether there are padding tokens that are not zeros."""
        _, height, width, _ = self.qkv.shape
        return self.pad is not None and (height % self.window_size or width % self.window_size) != 0

    @property
    def windows(self) -> int:
        batch, height, width, _ = self.qkv.shape
        return batch * -(-height // self.window_size) * -(-width // self.window_size)

    def tensors(self) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """The first arguments of every kernel; what is None is not read. Large windows take the table transposed."""
        table = self.table.t().contiguous() if self.is_large else self.table
        pad, cosine_scale = (table if x is None else x for x in (self.pad, self.cosine_scale))
        return self.qkv, table, pad, cosine_scale

    def plan(self, kind: str) -> tuple[tuple[int, int], tuple[int | float, ...], dict]:
        """For the kernels of a `kind`: the grid, the sizes and scale that they take, and what they are compiled for."""
        _, height, width, _ = self.qkv.shape
        options = {
            'WINDOW': self.window_size,
            'HEAD_DIM': self.channels // self.heads,
            'HAS_PAD': self.has_pad,
            'COSINE': self.cosine_scale is not None,
            'PRECISION': 'ieee' if self.qkv.dtype == torch.float32 and not _tf32(self.qkv) else 'tf32',
            'num_warps': WARPS[kind],
        }
        tokens, tiles = self.window_size**2, 1
        if self.is_large:
            own, other = self._own_tile(kind), OTHER[kind]
            options |= {'OWN': own, 'OTHER': other, 'num_stages': LARGE_STAGES}
            tiles = -(-tokens // own) * (-(-tokens // other) if kind == 'large_pairs' else 1)
        else:
            options['BLOCK'] = max(16, triton.next_power_of_2(tokens))
            if self.qkv.dtype == torch.float32:
                # loads ahead would take more shared memory than smaller GPUs have
                options['num_stages'] = 1
        windows = self.windows
        per_program = -(-windows // max_programs(kind, self.qkv.device, self.heads * tiles))
        rows, columns = -(-height // self.window_size), -(-width // self.window_size)
        sizes = height, width, rows, columns, windows, per_program, self.shift_size, self.channels
        grid = -(-windows // per_program) * tiles, self.heads
        return grid, (*sizes, self.scale), options

    def _own_tile(self, kind: str) -> int:
        """Tokens of a program's own tile."""
        is_light = self.qkv.dtype != torch.float32 and self.channels // self.heads <= 32
        if kind != 'large_pairs' and is_light and self.window_size**2 % WIDE_OWN == 0:
            return WIDE_OWN
        return OWN[kind]


def max_programs(kind: str, device: torch.device, shares: int) -> int:
    """The most programs for each of so many shares of the work, which all need one."""
    return max(1, PROGRAMS_PER_PROCESSOR[kind] * processors(device) // shares)


def _tf32(qkv: Tensor) -> bool:
    """Whether the user lets matrix products of float32 round their inputs."""
    return qkv.is_cuda and torch.backends.cuda.matmul.allow_tf32
