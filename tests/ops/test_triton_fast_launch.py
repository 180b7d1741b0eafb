"""Which launches share a compiled kernel. What the kernels compute is in the tests of their operations."""

import pytest
import torch

pytest.importorskip('triton')
from swin_mmdet.ops.triton_fast_launch import FastLaunch, fast_launch


class Function:
    """Stands for a `triton.jit` function (x, y, size, rows, TILE), of whose integers `rows` is not specialised."""

    def __init__(self):
        self.compiled, self.launched = 0, []

    def __getitem__(self, grid):
        def compile_and_run(*_arguments, **_options):
            self.compiled += 1
            number = self.compiled

            class Compiled:
                def __getitem__(_, grid):
                    return lambda *values: self.launched.append((number, grid, values))

            return Compiled()

        return compile_and_run


@pytest.fixture
def kernel():
    launcher = FastLaunch(Function())
    assert not launcher.fast  # it is no function of Triton's
    launcher.fast = True
    launcher.specialised = [True, True, True, False, False]
    launcher.constants = ['TILE']
    return launcher


def aligned(dtype=torch.float32):
    x = torch.empty(64, dtype=dtype)
    assert x.data_ptr() % 16 == 0
    return x


def launch(kernel, x, y, size=64, rows=5, tile=8, grid=(3,), **options):
    kernel[grid](x, y, size, rows, TILE=tile, **options)


def test_a_kernel_is_compiled_once_and_gets_addresses(kernel):
    x, y = aligned(), aligned()
    for rows in (5, 6, 2**31 - 1):
        launch(kernel, x, y, rows=rows, num_warps=2)
    assert kernel.function.compiled == 1
    assert kernel.function.launched == [
        (1, (3, 1, 1), (x.data_ptr(), y.data_ptr(), 64, rows, 8)) for rows in (6, 2**31 - 1)
    ]


@pytest.mark.parametrize(
    'other', [{'size': 65}, {'tile': 16}, {'num_warps': 4}, {'x': torch.float16}, {'y': torch.float16}], ids=str
)
def test_what_a_kernel_is_compiled_for_tells_them_apart(kernel, other):
    x, y = aligned(), aligned()
    options = {'num_warps': 2} | {name: aligned(v) if name in ('x', 'y') else v for name, v in other.items()}
    launch(kernel, x, y, num_warps=2)
    launch(kernel, **({'x': x, 'y': y} | options))
    assert kernel.function.compiled == 2
    launch(kernel, x, y, num_warps=2)
    launch(kernel, **({'x': x, 'y': y} | options))
    assert [number for number, _, _ in kernel.function.launched] == [1, 2]


def test_unaligned_tensors_and_long_integers_take_tritons_way(kernel):
    x, y = aligned(), aligned()
    launch(kernel, x, y)
    for arguments in ({'x': x[1:]}, {'rows': 2**31}, {'size': -(2**40)}):
        before = kernel.function.compiled
        launch(kernel, **({'x': x, 'y': y} | arguments))
        assert kernel.function.compiled == before + 1
    assert not kernel.function.launched
    launch(kernel, x, y)
    assert [number for number, _, _ in kernel.function.launched] == [1]


def test_the_interpreter_is_left_alone():
    function = Function()
    kernel = fast_launch(function)
    for _ in range(2):
        kernel[(1,)](aligned(), 1)
    assert function.compiled == 2
