"""The Triton kernels are compiled for an H100, which takes no GPU: the interpreter does not check types.

Compiled by this file as a script, for in the tests' own process Triton may be the interpreter.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

ROOT = Path(__file__).resolve().parents[2]
POINTERS = {torch.float32: '*fp32', torch.bfloat16: '*bf16', torch.int64: '*i64', torch.uint8: '*u8'}


class CompiledOnly:
    """A kernel that is compiled for what it is called with, and not run."""

    def __init__(self, kernel) -> None:
        self.kernel = kernel

    def __getitem__(self, grid):
        return self.compile

    def compile(self, *args, num_warps=4, num_stages=3, enable_fp_fusion=True, **constants) -> None:
        import triton
        from triton.backends.compiler import GPUTarget
        from triton.compiler import ASTSource

        def kind(value) -> str:
            return (
                POINTERS[value.dtype] if isinstance(value, torch.Tensor) else {int: 'i32', float: 'fp32'}[type(value)]
            )

        names = self.kernel.arg_names
        signature = {name: kind(value) for name, value in zip(names, args)} | dict.fromkeys(constants, 'constexpr')
        source = ASTSource(self.kernel, signature, {(names.index(name),): x for name, x in constants.items()})
        options = {'num_warps': num_warps, 'num_stages': num_stages, 'enable_fp_fusion': enable_fp_fusion}
        compiled = triton.compile(source, target=GPUTarget('cuda', 90, 32), options=options)
        print(self.kernel.__name__, compiled.metadata.shared)


def compile_attention(window_size: int, dtype: torch.dtype, cosine: bool, head_dim: int = 32) -> None:
    from swin_mmdet.ops.shifted_window_attention.triton_launch import launch_backward, launch_forward

    qkv = torch.empty(2, window_size + 1, 2 * window_size, 6 * head_dim, dtype=dtype)
    table, pad = torch.empty((2 * window_size - 1) ** 2, 2), torch.empty(6 * head_dim)
    inputs = qkv, table, pad, torch.empty(2) if cosine else None, window_size, window_size // 2, None if cosine else 0.2
    out = launch_forward(*inputs)
    launch_backward(out, *inputs, sum_all=True, with_out=True)


def compile_branches(dtype: torch.dtype) -> None:
    from swin_mmdet.ops.residual_branch import triton_launch as launch
    from swin_mmdet.ops.residual_branch.pieces import Branch, Norm

    x, values = torch.empty(2, 9, 10, 96), torch.empty(2, 9, 10, 96, dtype=dtype)
    numbers, scale = torch.empty(96), torch.empty(2)
    branch, norm = Branch(values, numbers, scale), Norm(numbers, numbers, 1e-5)
    for first in (False, True):
        _, y = launch.norm_forward(x, branch, norm, dtype, channels_first=first)
        launch.norm_backward(x, y, x, scale, dtype, norm, with_y=True, channels_first=first)
    wide = torch.empty(384)
    _, y = launch.norm_forward(x, None, Norm(wide, wide, 1e-5), dtype, merge=True)
    launch.norm_backward(x, y, None, None, None, Norm(wide, wide, 1e-5), with_y=True, merge=True)
    launch.post_norm_forward(x, branch, norm, dtype)
    launch.post_norm_backward(branch, x, values, norm, x.dtype)
    launch.gelu_forward(values, numbers, values)
    launch.gelu_backward(values, numbers, values)


def compile_nms(count: int) -> None:
    from swin_mmdet.ops.triton_batched_nms import triton_batched_nms

    triton_batched_nms(torch.empty(1, count, 4), torch.empty(1, count, dtype=torch.bool), 0.5)


def main() -> None:
    import swin_mmdet.ops.triton_batched_nms as nms
    import swin_mmdet.ops.triton_column_sums as column_sums
    from swin_mmdet.ops.residual_branch import triton_launch as residual
    from swin_mmdet.ops.shifted_window_attention import triton_launch as attention

    for module in (attention, residual, column_sums, nms):
        for name in [name for name in vars(module) if name.endswith('_kernel')]:
            setattr(module, name, CompiledOnly(getattr(module, name).function))
    for window_size, dtype, cosine in (
        (7, torch.bfloat16, True),
        (7, torch.float32, False),
        (12, torch.bfloat16, True),
        (12, torch.float32, False),
    ):
        compile_attention(window_size, dtype, cosine)
    compile_branches(torch.bfloat16)
    compile_nms(65)
    compile_nms(2000)


@pytest.mark.slow
def test_the_kernels_compile():
    pytest.importorskip('triton')
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    environment = os.environ | {'TRITON_INTERPRET': '0', 'PYTHONPATH': path}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shared = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert len(shared) == 3 + 3 + 5 + 5 + 15 + 2 + 2
    # what the smallest GPUs of those that the kernels are for have
    assert max(shared) <= 99 * 1024, done.stdout


if __name__ == '__main__':
    main()
