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
POINTERS = {
    torch.float32: '*fp32', torch.bfloat16: '*bf16', torch.int64: '*i64', torch.int32: '*i32', torch.uint8: '*u8',
    torch.bool: '*i1',
}  # fmt: skip


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
    from swin_mmdet.ops.shifted_window_attention import attention_backward, attention_forward

    qkv = torch.empty(2, window_size + 1, 2 * window_size, 6 * head_dim, dtype=dtype)
    table, pad = torch.empty((2 * window_size - 1) ** 2, 2), torch.empty(6 * head_dim)
    inputs = qkv, table, pad, torch.empty(2) if cosine else None, window_size, window_size // 2, 1.0 if cosine else 0.2
    out = attention_forward(*inputs)
    attention_backward(out, *inputs, sum_all=True, with_out=True)


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


def compile_detector_parts() -> None:
    from swin_mmdet.ops.box_assignment import AssignmentRule
    from swin_mmdet.ops.triton_box_assignment import triton_assign_boxes
    from swin_mmdet.ops.triton_mask_points import triton_sample_labels, triton_sample_masks
    from swin_mmdet.ops.triton_mask_targets import triton_mask_targets
    from swin_mmdet.ops.triton_normalize_images import triton_normalize_images
    from swin_mmdet.ops.triton_roi_align import triton_pyramid_roi_align

    boxes, number, valid = torch.zeros(1, 9, 4), torch.zeros(9, dtype=torch.int64), torch.ones(1, 9, dtype=torch.bool)
    for best in (None, 0.3):
        triton_assign_boxes(boxes, valid, boxes, number[:1], AssignmentRule(0.7, 0.3, best=best))
    byte = torch.zeros(9, dtype=torch.uint8)
    triton_mask_targets(byte, number, boxes[0].int(), number, boxes[0], 28, (8, 8))
    points = torch.zeros(9, 600, 2)
    triton_sample_masks(byte, number, boxes[0].int(), (8, 8), number, points, number)
    for label_type in (torch.uint8, torch.int64):
        triton_sample_labels(torch.zeros(1, 8, 8, dtype=label_type), number, number, points, number)
    image = torch.zeros(9, 9, 3, dtype=torch.uint8).permute(2, 0, 1)
    triton_normalize_images([image], torch.zeros(3), torch.ones(3), (32, 32), 0, True, False)
    maps = [torch.zeros(1, 256, 8, 8, dtype=torch.bfloat16, requires_grad=True)]
    found = triton_pyramid_roi_align(maps, boxes[0], number, number, (0.25,), 7, 0)
    found.sum().backward()


def compile_deformable(dtype: torch.dtype) -> None:
    from swin_mmdet.ops.deformable_attention import triton_launch as attention
    from swin_mmdet.ops.deformable_convolution import Geometry
    from swin_mmdet.ops.deformable_convolution import triton_launch as convolution

    places = torch.empty(1, 5, 2, 2, 4, 2, dtype=dtype), torch.empty(1, 5, 2, 8, dtype=dtype)
    levels = torch.empty(2, 2, dtype=torch.int64), torch.empty(2, dtype=torch.int64)
    inputs = torch.empty(1, 20, 2, 32, dtype=dtype), *levels, *places
    for reference in (torch.empty(1, 5, 2, 4), None):
        out = attention.launch_forward(*inputs, reference)
        attention.launch_backward(out, out, *inputs, reference, of_locations=reference is None)
    maps = torch.empty(1, 256, 6, 6, dtype=dtype), torch.empty(1, 18, 6, 6, dtype=dtype)
    weight = torch.empty(8, 256, 3, 3, dtype=dtype)
    mask = torch.empty(1, 9, 6, 6, dtype=dtype)
    out = convolution.convolve(*maps, mask, weight, None, Geometry(padding=(1, 1)))
    convolution.convolve_backward(out, *maps, mask, weight, Geometry(padding=(1, 1)))


def compile_dynamic_head(dtype: torch.dtype) -> None:
    from swin_mmdet.ops.dynamic_head import Levels
    from swin_mmdet.ops.dynamic_head import triton_launch as head

    levels = Levels(2, ((4, 4), (2, 2)))
    rows, offsets = torch.empty(40, 256, dtype=dtype), torch.empty(40, 27, dtype=dtype)
    weights = [torch.empty(256, 256, 3, 3)] * 3
    results = head.convolve(rows, offsets, weights, levels)
    head.convolve_backward(results, rows, offsets, weights, levels)
    mean, _ = head.moments(results, levels.segments())
    head.lines(results, levels.segments(), mean, mean)
    enlarged, coefficients = torch.empty(32, 256, dtype=dtype), torch.empty(8, 4, 256)
    out = head.blend(results, enlarged, coefficients, levels)
    head.blend_backward(out, results, enlarged, coefficients, levels)


def main() -> None:
    import swin_mmdet.ops.triton_batched_nms as nms
    import swin_mmdet.ops.triton_box_assignment as assignment
    import swin_mmdet.ops.triton_column_sums as column_sums
    import swin_mmdet.ops.triton_mask_points as points
    import swin_mmdet.ops.triton_mask_targets as masks
    import swin_mmdet.ops.triton_normalize_images as images
    import swin_mmdet.ops.triton_roi_align as align
    from swin_mmdet.ops.deformable_attention import triton_launch as deformable
    from swin_mmdet.ops.deformable_convolution import triton_launch as convolution
    from swin_mmdet.ops.dynamic_head import triton_launch as dynamic_head
    from swin_mmdet.ops.residual_branch import triton_launch as residual
    from swin_mmdet.ops.shifted_window_attention import triton_launch as attention

    for module in (
        attention, residual, column_sums, nms, assignment, masks, points, images, align, deformable, convolution,
        dynamic_head,
    ):  # fmt: skip
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
    compile_detector_parts()
    compile_deformable(torch.bfloat16)
    compile_dynamic_head(torch.bfloat16)


@pytest.mark.slow
def test_the_kernels_compile():
    pytest.importorskip('triton')
    path = os.pathsep.join([str(ROOT), os.environ.get('PYTHONPATH', '')])
    environment = os.environ | {'TRITON_INTERPRET': '0', 'PYTHONPATH': path}
    done = subprocess.run([sys.executable, __file__], env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    shared = [int(line.split()[1]) for line in done.stdout.splitlines()]
    assert len(shared) == 3 + 3 + 5 + 5 + 15 + 2 + 2 + 3 + 1 + 1 + 2 + 1 + 2 + 2 * 2 + 3 + 7
    # what the smallest GPUs of those that the kernels are for have
    assert max(shared) <= 99 * 1024, done.stdout


if __name__ == '__main__':
    main()
