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
POINTERS = {torch.float32: '*fp32', torch.bfloat16: '*bf16'}


class CompiledOnly:
    """A kernel that is compiled for what it is called with, and not run."""

    def __init__(self, kernel) -> None:
        self.kernel = kernel

    def __getitem__(self, grid):
        return self.compile

    def compile(self, *args, num_warps, num_stages=3, **constants) -> None:
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
        options = {'num_warps': num_warps, 'num_stages': num_stages}
        compiled = triton.compile(source, target=GPUTarget('cuda', 90, 32), options=options)
        assert compiled.metadata.shared <= 227 * 1024
        print(self.kernel.__name__)


def compile_all(window_size: int, dtype: torch.dtype, cosine: bool) -> None:
    from swin_mmdet.ops.shifted_window_attention.triton_launch import launch_backward, launch_forward

    qkv = torch.empty(2, window_size + 1, 2 * window_size, 3 * 64, dtype=dtype)
    table, pad = torch.empty((2 * window_size - 1) ** 2, 2), torch.empty(3 * 64)
    inputs = qkv, table, pad, torch.empty(2) if cosine else None, window_size, window_size // 2, None if cosine else 0.2
    out = launch_forward(*inputs)
    launch_backward(out, *inputs, sum_all=cosine, with_out=cosine)


def main() -> None:
    from swin_mmdet.ops.shifted_window_attention import triton_launch

    for name in [name for name in vars(triton_launch) if name.endswith('_kernel')]:
        setattr(triton_launch, name, CompiledOnly(getattr(triton_launch, name)))
    compile_all(7, torch.bfloat16, cosine=True)
    compile_all(12, torch.bfloat16, cosine=True)
    compile_all(12, torch.float32, cosine=False)


@pytest.mark.slow
def test_the_kernels_compile():
    pytest.importorskip('triton')
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    environment = os.environ | {'TRITON_INTERPRET': '0', 'PYTHONPATH': path}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.split()) == 3 + 5 + 5


if __name__ == '__main__':
    main()
