"""Our ops next to those of a compiled mmcv, wherever one is installed: same inputs and buffers, outputs and gradients.

As a script it writes the largest differences: `python tests/compat/test_against_compiled_mmcv.py --out table.md`
(`--ext path/to/_ext.so` takes the extension from a file).
"""

import argparse
import importlib.machinery
import importlib.util
import sys
from collections.abc import Callable
from types import ModuleType, SimpleNamespace

import pytest
import torch

from swin_mmdet.compat.mmcv_ops import install
from swin_mmdet.compat.mmcv_ops.install import OPS

Results = dict[str, torch.Tensor]
# The compiled kernels compute even coordinates in float16, ours in float32.
TOLERANCE = {torch.float32: 1e-4, torch.float16: 5e-2}
# What PyTorch and mmcv say where the compiled module has no kernel for a device or dtype.
NO_KERNEL = 'implementation for device', 'not implemented for', 'scalar type', 'CUDA tensor', 'without overflow'


def uniform(
    shape: tuple[int, ...], like: torch.Tensor, low: float = -1.0, high: float = 1.0, step: float = 0.0
) -> torch.Tensor:
    """Random numbers made on the CPU, so that every device sees the same; multiples of `step` are exact in float16."""
    values = torch.rand(shape) * (high - low) + low
    return (torch.round(values / step) * step if step else values).to(like)


def boxes(count: int, like: torch.Tensor, size: float = 100.0) -> torch.Tensor:
    corners = uniform((count, 2, 2), like, 0, size, step=0.25)
    return torch.cat((corners.amin(1), corners.amax(1)), dim=1)


def rois(count: int, like: torch.Tensor) -> torch.Tensor:
    image = torch.randint(2, (count, 1)).to(like)
    start, size = uniform((count, 2), like, -4, 40, step=0.25), uniform((count, 2), like, 1, 30, step=0.25)
    return torch.cat((image, start, start + size + 0.125), dim=1)


def nms(ops: ModuleType, like: torch.Tensor) -> Results:
    inputs = boxes(200, like), uniform((200,), like, 0, 1)
    return {f'offset {offset}': ops.nms(*inputs, iou_threshold=0.6, offset=offset) for offset in (0, 1)}


def softnms(ops: ModuleType, like: torch.Tensor) -> Results:
    inputs = boxes(60, like), uniform((60,), like, 0, 1)
    results = {}
    for method in (0, 1, 2):
        dets = like.new_zeros(60, 5)
        kept = ops.softnms(
            *inputs, dets, iou_threshold=0.3, sigma=0.5, min_score=1e-2, method=method, offset=method % 2
        )
        results |= {f'method {method} kept': kept, f'method {method} dets': dets[:len(kept)]}
    return results


def nms_match(ops: ModuleType, like: torch.Tensor) -> Results:
    dets = torch.cat((boxes(60, like), uniform((60, 1), like, 0, 1)), dim=1)
    groups = ops.nms_match(dets, iou_threshold=0.5)
    return {'groups': torch.tensor([index for group in groups for index in (*group, -1)])}


def bbox_overlaps(ops: ModuleType, like: torch.Tensor) -> Results:
    results = {}
    for mode, offset in ((0, 0), (0, 1), (1, 0), (1, 1)):
        first, second = boxes(30, like), boxes(30, like)
        pairs, matrix = like.new_zeros(30), like.new_zeros(30, 30)
        ops.bbox_overlaps(first, second, pairs, mode=mode, aligned=True, offset=offset)
        ops.bbox_overlaps(first, second, matrix, mode=mode, aligned=False, offset=offset)
        results |= {f'mode {mode} offset {offset} pairs': pairs, f'mode {mode} offset {offset} matrix': matrix}
    return results


def roi_align(ops: ModuleType, like: torch.Tensor) -> Results:
    results = {}
    features, regions = uniform((2, 3, 16, 32), like), rois(12, like)
    for pool_mode, sampling_ratio, aligned in ((1, 0, True), (1, 2, False), (0, 0, True), (0, 2, False)):
        output, argmax_y, argmax_x = (like.new_zeros(12, 3, 4, 8) for _ in range(3))
        settings = dict(
            aligned_height=4, aligned_width=8, spatial_scale=0.5, sampling_ratio=sampling_ratio, pool_mode=pool_mode,
            aligned=aligned,
        )
        ops.roi_align_forward(features, regions, output, argmax_y, argmax_x, **settings)
        case = f'pool_mode {pool_mode} ratio {sampling_ratio} aligned {aligned}'
        if pool_mode == 0 and like.dtype == torch.float32:
            results |= {f'{case} argmax_y': argmax_y.clone(), f'{case} argmax_x': argmax_x.clone()}
        # In float16 rounding decides which of two equal samples is the maximum: give both backwards the same places.
        argmax_y.copy_(uniform(output.shape, like, -1, 16, step=0.25))
        argmax_x.copy_(uniform(output.shape, like, -1, 32, step=0.25))
        grad_input = torch.zeros_like(features)
        ops.roi_align_backward(uniform(output.shape, like), regions, argmax_y, argmax_x, grad_input, **settings)
        results |= {f'{case} output': output, f'{case} grad': grad_input}
    return results


def roi_pool(ops: ModuleType, like: torch.Tensor) -> Results:
    features, regions = uniform((2, 3, 16, 32), like), rois(12, like)
    output, argmax = like.new_zeros(12, 3, 4, 8), like.new_zeros(12, 3, 4, 8, dtype=torch.int)
    settings = dict(pooled_height=4, pooled_width=8, spatial_scale=0.5)
    ops.roi_pool_forward(features, regions, output, argmax, **settings)
    grad_input = torch.zeros_like(features)
    ops.roi_pool_backward(uniform(output.shape, like), regions, argmax, grad_input, **settings)
    return {'output': output, 'argmax': argmax, 'grad': grad_input}


def deform_conv(ops: ModuleType, like: torch.Tensor) -> Results:
    results = {}
    for start, group, deformable_group in (('zero', 1, 1), ('random', 2, 2)):
        features, weight = uniform((4, 4, 8, 8), like), uniform((6, 4 // group, 3, 3), like)
        offset = uniform((4, deformable_group * 18, 4, 8), like, -2, 2, step=0.25) + 0.125
        offset = offset * 0 if start == 'zero' else offset
        output, columns, ones = like.new_zeros(4, 6, 4, 8), like.new_zeros(0), like.new_zeros(0)
        settings = dict(
            kW=3, kH=3, dW=1, dH=2, padW=1, padH=1, dilationW=1, dilationH=1, group=group,
            deformable_group=deformable_group, im2col_step=2,
        )
        ops.deform_conv_forward(features, weight, offset, output, columns, ones, **settings)
        grad = uniform(output.shape, like)
        inputs = {'x': features, 'offset': offset, 'w': weight}
        grads = {name: torch.zeros_like(tensor) for name, tensor in inputs.items()}
        ops.deform_conv_backward_input(
            features, offset, grad.clone(), grads['x'], grads['offset'], weight, columns, **settings
        )
        ops.deform_conv_backward_parameters(
            features, offset, grad.clone(), grads['w'], columns, ones, scale=1, **settings
        )
        results |= {f'{start} output': output, **{f'{start} grad {name}': value for name, value in grads.items()}}
    return results


def modulated_deform_conv(ops: ModuleType, like: torch.Tensor) -> Results:
    results = {}
    cases = ('zero', 1, 1, False), ('random', 2, 2, True), ('larger', 1, 1, True)
    for start, group, deformable_group, with_bias in cases:
        features, weight = uniform((2, 4, 8, 8), like), uniform((6, 4 // group, 3, 3), like)
        bias = uniform((6,), like) if with_bias else like.new_zeros(0)
        size = (16, 12) if start == 'larger' else (8, 8)
        offset = uniform((2, deformable_group * 18, *size), like, -2, 2, step=0.25) + 0.125
        offset = offset * 0 if start == 'zero' else offset
        mask = uniform((2, deformable_group * 9, *size), like, 0, 1)
        output, columns, ones = like.new_zeros(2, 6, 8, 8), like.new_zeros(0), like.new_zeros(0)
        settings = dict(
            kernel_h=3, kernel_w=3, stride_h=1, stride_w=1, pad_h=1, pad_w=1, dilation_h=1, dilation_w=1, group=group,
            deformable_group=deformable_group, with_bias=with_bias,
        )
        ops.modulated_deform_conv_forward(features, weight, bias, ones, offset, mask, output, columns, **settings)
        grads = [torch.zeros_like(tensor) for tensor in (features, weight, bias, offset, mask)]
        ops.modulated_deform_conv_backward(
            features, weight, bias, ones, offset, mask, columns, *grads, uniform(output.shape, like), **settings
        )
        names = ('grad x', 'grad w', 'grad bias', 'grad offset', 'grad mask')
        results |= {f'{start} output': output, **{f'{start} {name}': grad for name, grad in zip(names, grads)}}
    return results


def ms_deform_attn(ops: ModuleType, like: torch.Tensor) -> Results:
    shapes = torch.tensor([[8, 16], [4, 8]], device=like.device)
    starts = torch.tensor([0, 128], device=like.device)
    value, attention = uniform((2, 160, 4, 8), like), uniform((2, 10, 4, 2, 3), like, 0, 1)
    locations = uniform((2, 10, 4, 2, 3, 2), like, -0.25, 1.25, step=1 / 32) + 1 / 64
    output = ops.ms_deform_attn_forward(value, shapes, starts, locations, attention, im2col_step=2)
    grads = [torch.zeros_like(tensor) for tensor in (value, locations, attention)]
    ops.ms_deform_attn_backward(
        value, shapes, starts, locations, attention, uniform(output.shape, like), *grads, im2col_step=2
    )
    return {'output': output, **dict(zip(('grad value', 'grad locations', 'grad attention'), grads))}


def focal_loss(kind: str) -> Callable[[ModuleType, torch.Tensor], Results]:
    def run(ops: ModuleType, like: torch.Tensor) -> Results:
        scores = uniform((40, 5), like, -4, 4)
        scores = scores.float().softmax(1).to(like) if kind == 'softmax' else scores
        target = torch.randint(5, (40,)).to(like.device)
        results = {}
        for name, weight in (('plain', like.new_zeros(0)), ('weighted', uniform((5,), like, 0, 2))):
            output = like.new_zeros(40) if kind == 'softmax' else torch.zeros_like(scores)
            grad, buffers = torch.zeros_like(scores), [like.new_zeros(40)] if kind == 'softmax' else []
            getattr(ops, f'{kind}_focal_loss_forward')(scores, target, weight, output, gamma=2.0, alpha=0.25)
            getattr(ops, f'{kind}_focal_loss_backward')(scores, target, weight, *buffers, grad, gamma=2.0, alpha=0.25)
            results |= {f'{name} output': output, f'{name} grad': grad}
        return results

    return run


def masked_conv(ops: ModuleType, like: torch.Tensor) -> Results:
    features = uniform((1, 3, 8, 9), like)
    y, x = torch.randint(8, (20,)).to(like.device), torch.randint(9, (20,)).to(like.device)
    columns = like.new_zeros(27, 20)
    ops.masked_im2col_forward(features, y, x, columns, kernel_h=3, kernel_w=3, pad_h=1, pad_w=1)
    place = torch.randperm(72)[:20].to(like.device)
    output = like.new_zeros(1, 27, 8, 9)
    ops.masked_col2im_forward(columns, place // 9, place % 9, output, height=8, width=9, channels=27)
    return {'columns': columns, 'output': output}


def carafe(naive: bool) -> Callable[[ModuleType, torch.Tensor], Results]:
    def run(ops: ModuleType, like: torch.Tensor) -> Results:
        features, masks = uniform((2, 64, 4, 8), like), uniform((2, 50, 8, 16), like, 0, 1)
        output = like.new_zeros(2, 64, 8, 16)
        grad, grad_x, grad_masks = uniform(output.shape, like), torch.zeros_like(features), torch.zeros_like(masks)
        settings = dict(kernel_size=5, group_size=2, scale_factor=2)
        if naive:
            ops.carafe_naive_forward(features, masks, output, **settings)
            ops.carafe_naive_backward(grad, features, masks, grad_x, grad_masks, **settings)
        else:
            kept, *scratch = (torch.zeros_like(tensor) for tensor in (features, output, masks))
            ops.carafe_forward(features, masks, kept, *scratch, output, **settings)
            scratch = [torch.zeros_like(tensor) for tensor in (output, output, features, masks)]
            ops.carafe_backward(grad, kept, masks, *scratch, grad_x, grad_masks, **settings)
        return {'output': output, 'grad x': grad_x, 'grad masks': grad_masks}

    return run


CASES: dict[str, Callable[[ModuleType, torch.Tensor], Results]] = {
    'nms': nms,
    'softnms': softnms,
    'nms_match': nms_match,
    'bbox_overlaps': bbox_overlaps,
    'roi_align': roi_align,
    'roi_pool': roi_pool,
    'deform_conv': deform_conv,
    'modulated_deform_conv': modulated_deform_conv,
    'ms_deform_attn': ms_deform_attn,
    'sigmoid_focal_loss': focal_loss('sigmoid'),
    'softmax_focal_loss': focal_loss('softmax'),
    'masked_conv': masked_conv,
    'carafe': carafe(naive=False),
    'carafe_naive': carafe(naive=True),
}
DEVICES = ['cpu', 'cuda'] if torch.cuda.is_available() else ['cpu']


def our_ops() -> SimpleNamespace:
    modules = {name: importlib.import_module(f'swin_mmdet.compat.mmcv_ops.{name}') for name in OPS}
    return SimpleNamespace(**{op: getattr(modules[name], op) for name, ops in OPS.items() for op in ops})


def compiled_ops(path: str | None = None) -> ModuleType | None:
    """The compiled module of the installed mmcv, or the one in a file; None if there is none."""
    if path:
        loader = importlib.machinery.ExtensionFileLoader('_ext', path)
        spec = importlib.util.spec_from_file_location('_ext', path, loader=loader)
        module = importlib.util.module_from_spec(spec)
        loader.exec_module(module)
        return module
    if importlib.util.find_spec('mmcv') is None:
        return None
    spec = importlib.util.find_spec('mmcv._ext')
    return None if spec is None or spec.origin == install.__name__ else importlib.import_module('mmcv._ext')


def differences(case: str, compiled: ModuleType, device: str, dtype: torch.dtype) -> dict[str, float]:
    """Largest |ours - compiled| of each output, relative to its largest magnitude where that exceeds 1."""
    like = torch.zeros((), device=device, dtype=dtype)
    results = []
    for ops in (compiled, our_ops()):
        torch.manual_seed(0)
        results.append({name: tensor.double().cpu() for name, tensor in CASES[case](ops, like).items()})
    theirs, ours = results
    shapes = {name: (tuple(ours[name].shape), tuple(theirs[name].shape)) for name in theirs}
    assert all(mine == other for mine, other in shapes.values()), f'{case}: shapes differ, ours and compiled: {shapes}'
    return {
        name: ((ours[name] - other).abs().max() / other.abs().max().clamp(min=1)).item() if other.numel() else 0.0
        for name, other in theirs.items()
    }


def has_no_kernel(error: RuntimeError) -> bool:
    return any(text in str(error) for text in NO_KERNEL)


@pytest.fixture(scope='module')
def compiled() -> ModuleType:
    module = compiled_ops()
    if module is None:
        pytest.skip('no compiled mmcv is installed')
    return module


@pytest.mark.parametrize('dtype', list(TOLERANCE), ids=str)
@pytest.mark.parametrize('device', DEVICES)
@pytest.mark.parametrize('case', list(CASES))
def test_ours_equals_the_compiled_op(case, device, dtype, compiled):
    try:
        errors = differences(case, compiled, device, dtype)
    except RuntimeError as error:
        if has_no_kernel(error):
            pytest.skip(f'the compiled op has no {device} kernel for {dtype}')
        raise
    assert max(errors.values()) <= TOLERANCE[dtype], errors


def table(compiled: ModuleType) -> str:
    """One line per op, device and dtype: the largest difference of an output and of a gradient, and where."""
    lines = ['| op | device | dtype | largest difference, forward | gradient |', '| --- | --- | --- | --- | --- |']
    for case in CASES:
        for device in DEVICES:
            for dtype in TOLERANCE:
                try:
                    errors = differences(case, compiled, device, dtype)
                except RuntimeError as error:
                    if not has_no_kernel(error):
                        raise
                    lines.append(f'| {case} | {device} | {dtype} | no compiled kernel | |')
                    continue
                columns = []
                for gradient in (False, True):
                    chosen = {name: value for name, value in errors.items() if ('grad' in name) == gradient}
                    worst = max(chosen, key=chosen.get, default=None)
                    columns.append(f'{chosen[worst]:.1e} ({worst})' if worst else '')
                lines.append(f'| {case} | {device} | {dtype} | {columns[0]} | {columns[1]} |')
    return '\n'.join(lines) + '\n'


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('--out', help='file to write; standard output if missing')
    parser.add_argument('--ext', help='a compiled extension file; that of the installed mmcv if missing')
    arguments = parser.parse_args()
    compiled = compiled_ops(arguments.ext)
    if compiled is None:
        sys.exit('no compiled mmcv is installed')
    text = table(compiled)
    if arguments.out:
        with open(arguments.out, 'w') as file:
            file.write(text)
    else:
        print(text, end='')


if __name__ == '__main__':
    main()
