"""Deformable attention and convolution, ours beside mmcv's compiled kernels, at the sizes of detectors of the zoo.

    python tools/benchmarks/deformable_ops.py --out tools/benchmarks/results/deformable_ops-h200.csv

Attention is the whole operation from the linear layers' outputs: softmax, arithmetic of places, sampling; mmcv's way
makes both in PyTorch before its kernel. Offsets are those of the initial weights with noise as of trained ones. Times
are of CUDA graphs where the way can be recorded, so that they are the GPU's alone. Without a compiled mmcv its rows say
why they are missing. 'floor ms' is the time to move each input and output once. Needs a GPU.
"""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmcv

# isort: split
import torch
from harness import conditions, graphed, measure, rounded, write_rows
from torch import Tensor

from swin_mmdet.ops.deformable_attention import deformable_attention
from swin_mmdet.ops.deformable_attention.locations import locations_and_weights
from swin_mmdet.ops.deformable_convolution import deformable_convolution

DTYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'fp32': torch.float32}
# what a device-to-device copy reaches on an H200
TERABYTES_PER_SECOND = 4.3
HEADS, HEAD_DIM, POINTS = 8, 32, 4
FIVE_LEVELS = ((200, 336), (100, 168), (50, 84), (25, 42), (13, 21))
# levels, queries (None for one of each pixel), pixels of noise in the offsets; batch 2 everywhere
ATTENTION = {
    'DINO 5 scales, encoder': (FIVE_LEVELS, None, 1.5),
    'DINO 5 scales, encoder, far offsets': (FIVE_LEVELS, None, 8.0),
    'DINO 5 scales, decoder': (FIVE_LEVELS, 1100, 1.5),
    'Mask2Former 1024 px, encoder': (((32, 32), (64, 64), (128, 128)), None, 1.5),
}
# channels, height, width of a modulated 3 x 3 convolution
CONVOLUTION = {'DyHead, stride 8': (256, 100, 168), 'DyHead, stride 32': (256, 25, 42)}
BATCH = 2


def attention_inputs(case: str, dtype: torch.dtype, device: str = 'cuda') -> list[Tensor]:
    """Value, sizes, first pixels, reference points, offsets and logits."""
    levels, queries, noise = ATTENTION[case]
    generator = torch.Generator(device).manual_seed(0)

    def random(*sizes: int) -> Tensor:
        return torch.randn(*sizes, device=device, generator=generator)

    shapes = torch.tensor(levels, device=device)
    starts = torch.cat([shapes.new_zeros(1), shapes.prod(1).cumsum(0)[:-1]])
    centers = torch.cat([_centers(*size, device) for size in levels])
    if queries is not None:
        centers = torch.rand(queries, 2, device=device, generator=generator)
    reference = centers[None, :, None].expand(BATCH, -1, len(levels), -1).contiguous()
    angle = torch.arange(HEADS, device=device) * (2 * math.pi / HEADS)
    direction = torch.stack([angle.cos(), angle.sin()], -1)
    direction = direction / direction.abs().amax(-1, keepdim=True)
    offsets = direction[:, None, None] * torch.arange(1, POINTS + 1, device=device)[:, None]
    offsets = offsets + noise * random(BATCH, len(centers), HEADS, len(levels), POINTS, 2)
    value = random(BATCH, sum(h * w for h, w in levels), HEADS, HEAD_DIM)
    logits = random(BATCH, len(centers), HEADS, len(levels) * POINTS)
    return [value.to(dtype), shapes, starts, reference, offsets.to(dtype), logits.to(dtype)]


def _centers(height: int, width: int, device: str) -> Tensor:
    y, x = torch.meshgrid(
        (torch.arange(height, device=device) + 0.5) / height,
        (torch.arange(width, device=device) + 0.5) / width,
        indexing='ij',
    )
    return torch.stack([x, y], -1).view(-1, 2)


def convolution_inputs(case: str, dtype: torch.dtype, device: str = 'cuda') -> list[Tensor]:
    """Input, offset, mask, weight and bias."""
    channels, height, width = CONVOLUTION[case]
    generator = torch.Generator(device).manual_seed(0)
    made = [
        torch.randn(sizes, device=device, generator=generator).to(dtype)
        for sizes in (
            (BATCH, channels, height, width),
            (BATCH, 18, height, width),
            (BATCH, 9, height, width),
            (channels, channels, 3, 3),
            (channels,),
        )
    ]
    made[3] = made[3] / (9 * channels) ** 0.5
    return made


def ours_attention(*inputs: Tensor) -> Tensor:
    return deformable_attention(*inputs)


def mmcvs_attention(
    value: Tensor, shapes: Tensor, starts: Tensor, reference: Tensor, offsets: Tensor, logits: Tensor
) -> Tensor:
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    apply = MultiScaleDeformableAttnFunction.apply.__wrapped__  # its own, not ours in its place
    return apply(value, shapes, starts, *locations_and_weights(shapes, offsets, logits, reference), 64)


def ours_convolution(x: Tensor, offset: Tensor, mask: Tensor, weight: Tensor, bias: Tensor) -> Tensor:
    return deformable_convolution(x, offset, weight, bias, mask, padding=(1, 1))


def mmcvs_convolution(*inputs: Tensor) -> Tensor:
    from mmcv.ops import modulated_deform_conv2d

    return modulated_deform_conv2d.__wrapped__(*inputs, 1, 1)


# cases, their inputs, the ways, and which inputs have a gradient: reference points of an encoder have none
OPERATIONS = {
    'attention': (ATTENTION, attention_inputs, {'ours': ours_attention, 'mmcv': mmcvs_attention}, (0, 4, 5)),
    'convolution': (
        CONVOLUTION, convolution_inputs, {'ours': ours_convolution, 'mmcv': mmcvs_convolution}, (0, 1, 2, 3, 4),
    ),
}  # fmt: skip


def make_way(run: Callable, inputs: list[Tensor], learning: tuple[int, ...], backward: bool) -> Callable:
    """One forward, or forward and backward."""
    wanted = [inputs[index].requires_grad_(backward) for index in learning]
    grad = torch.randn_like(run(*inputs))

    def way() -> None:
        out = run(*inputs)
        if backward:
            torch.autograd.grad(out, wanted, grad)

    return way


def floor_ms(inputs: list[Tensor], out: Tensor, backward: bool) -> float:
    """Milliseconds to move every input and the output once; for backward both again with their gradients."""
    size = sum(x.numel() * x.element_size() for x in (*inputs, out))
    return size * (3 if backward else 1) / TERABYTES_PER_SECOND / 1e9


def why_no_mmcv() -> str:
    """Nothing when a compiled mmcv is installed."""
    import mmcv._ext

    from swin_mmdet.compat.mmcv_ops.install import is_ours

    return 'no compiled mmcv is installed' if is_ours(mmcv._ext) else ''


def rows_of(operation: str, case: str, dtypes: list[str], backward: bool, repeats: int) -> list[dict]:
    """A row for each way, ours in every dtype and mmcv's where it has it."""
    _, make_inputs, runs, learning = OPERATIONS[operation]
    ways, floors, failed = {}, {}, {}
    for name in dtypes:
        for peer, run in runs.items():
            key = f'{peer} {name}'
            reason = why_no_mmcv() if peer == 'mmcv' else ''
            reason = reason or ('it has no bf16' if (peer, name) == ('mmcv', 'bf16') else '')
            if reason:
                failed[key] = reason
                continue
            inputs = make_inputs(case, DTYPES[name])
            way = make_way(run, inputs, learning, backward)
            floors[key] = floor_ms(inputs, run(*inputs), backward)
            ways[key] = graphed(way) if peer == 'ours' else way
    times = measure(ways, repeats)
    rows = []
    for key in [f'{peer} {name}' for name in dtypes for peer in runs]:
        mode = 'forward + backward' if backward else 'forward'
        row = {'operation': operation, 'case': case, 'mode': mode, 'way': key}
        against = times.get('mmcv fp16', {}).get('median ms')
        median = times.get(key, {}).get('median ms')
        row |= {name: times.get(key, {}).get(name) for name in ('median ms', 'p20 ms', 'p80 ms', 'peak MiB')}
        row |= {'floor ms': floors.get(key), 'to mmcv fp16': median / against if median and against else None}
        rows.append(row | {'failed': failed.get(key, '')})
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    parser.add_argument('--operations', nargs='+', choices=OPERATIONS, default=list(OPERATIONS))
    parser.add_argument('--dtypes', nargs='+', choices=DTYPES, default=['bf16', 'fp16', 'fp32'])
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args(argv)
    where, rows = conditions(args.commit), []
    for operation in args.operations:
        for case in OPERATIONS[operation][0]:
            for backward in (False, True):
                for row in rows_of(operation, case, args.dtypes, backward, args.repeats):
                    rows.append(rounded(row) | where)
                    print(*rounded(row).values(), sep=', ', flush=True)
                if args.out:
                    write_rows(args.out, rows)


if __name__ == '__main__':
    main()
