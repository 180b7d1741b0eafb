"""Where the time of a training step goes on a GPU: its kernels in groups, beside a floor for each group.

    python tools/benchmarks/where_time_goes.py --out tools/benchmarks/results/where_time_goes-ours-b2-h100.csv
    python tools/benchmarks/where_time_goes.py --peer mmdet --batch 16 --out mmdet.csv

The step is that of `backbone.py`. It is timed without the profiler; what the kernels do not fill of it, the GPU waits.
A group's row ('all' kernels) is followed by its largest kernels. The floor is the time of the group's work at the speed
of an H100 if every map were read or written once: see `floor_us`.
"""

import argparse
import re
from collections import defaultdict
from pathlib import Path

import torch
from harness import TERABYTES_PER_SECOND, conditions, gpu_work, measure, rounded, write_rows
from peers import AUTOCAST, PEERS, Sizes, Step, build_peer, set_tf32

from swin_mmdet.variants import VARIANTS

# the first pattern that is found in a kernel's name, whatever the case, decides; edit here when kernels get names
GROUPS = (
    ('attention forward', r'^forward_kernel|^(shifted_)?window_attention_forward|flash_fwd|fmha_cutlassF|sdpa.*fprop'),
    ('attention backward', r'^backward_kernel|^sums_kernel|^(shifted_)?window_attention_backward|^bias_'),
    ('attention backward', r'flash_bwd|fmha_cutlassB|sdpa.*bprop'),
    ('softmax', r'softmax'),
    ('norms', r'norm_(forward|backward)|layer_?norm|GammaBeta|LayerNorm'),
    ('GELU', r'gelu'),
    ('matrix products', r'gemm|gemv|nvjet|xmma|cutlass|cublas|splitK|cudnn|conv(olution|2d|_depthwise)|[wd]grad'),
    ('casts and copies', r'copy|multi_tensor|memcpy|memset|fill|roll_cuda|cat_?array|index|gather|scatter'),
    ('casts and copies', r'triton_.*(_cat|_clone)'),
    ('reductions', r'reduce|column_sums|^triton_(red|per)_'),
    ('element-wise', r'elementwise|^triton_poi_|foreach'),
    ('other', r''),
)
# dense products of an H100 SXM in its data sheet
TERAFLOPS = {'bf16': 989, 'fp16': 989, 'tf32': 494, 'fp32': 67}
VALUE_BYTES = {'bf16': 2, 'fp16': 2, 'tf32': 4, 'fp32': 4}
LARGEST = 5


def group_of(kernel: str) -> str:
    return next(group for group, pattern in GROUPS if re.search(pattern, kernel, re.IGNORECASE))


def floor_us(sizes: Sizes, batch: int, dtype: str) -> dict[str, float]:
    """Group -> microseconds that a training step needs at least, if each group were one kernel each way.

    Counted are maps that must be read or written, all in the step's dtype; weights and statistics are small beside
    them. With a map of a stage as the unit:
    attention reads qkv and writes its output (4), backward reads qkv and a gradient and writes that of qkv (7);
    a norm with the sum before it reads two maps and writes two (4), backward reads three and writes one (4); the norms
    of the patch embedding, of each merging and each output have no sum: 2 and 3;
    GELU on four times the channels reads one and writes one (8), backward reads two and writes one (12).
    A matrix product reads and writes at each of its two ends, three times in a step, or is limited by its operations.
    """
    shapes = sizes.map_shapes(batch)
    maps, products = defaultdict(float), 0.0

    def product(tokens: float, inputs: int, outputs: int) -> float:
        moved = tokens * (inputs + outputs) * VALUE_BYTES[dtype] / TERABYTES_PER_SECOND
        return 3 * max(moved, 2 * tokens * inputs * outputs / TERAFLOPS[dtype]) / 1e6

    for (_, channels, height, width), depth in zip(shapes, sizes.variant.depths, strict=True):
        tokens = batch * height * width
        values = tokens * channels
        maps['attention forward'] += depth * 4 * values
        maps['attention backward'] += depth * 7 * values
        maps['norms'] += (depth * 2 * 8 + 5) * values
        maps['GELU'] += depth * 20 * values
        if channels == shapes[0][1]:
            maps['norms'] += 5 * values
            products += product(tokens, 3 * 4 * 4, channels)
        if channels != shapes[-1][1]:
            maps['norms'] += 5 * values
            products += product(tokens / 4, 4 * channels, 2 * channels)
        for inputs, outputs in ((1, 3), (1, 1), (1, 4), (4, 1)):
            products += depth * product(tokens, inputs * channels, outputs * channels)
    floors = {name: count * VALUE_BYTES[dtype] / TERABYTES_PER_SECOND / 1e6 for name, count in maps.items()}
    return floors | {'matrix products': products}


def table(work: list[tuple[str, float]], runs: int, step_us: float, floors: dict[str, float]) -> list[dict]:
    """Rows of the groups and their largest kernels, by time; then the waiting and the whole step."""
    kernels: dict[str, dict[str, list[float]]] = defaultdict(lambda: defaultdict(list))
    for kernel, microseconds in work:
        kernels[group_of(kernel)][kernel].append(microseconds)

    def row(group: str, kernel: str, times: list[float], floor: float | None = None) -> dict:
        us = sum(times) / runs
        return {
            'group': group,
            'kernel': kernel[:160],
            'calls': round(len(times) / runs, 2),
            'us': us,
            'share': us / step_us,
            'floor us': floor,
        }

    rows = []
    for group, found in sorted(kernels.items(), key=lambda item: -sum(map(sum, item[1].values()))):
        every = [us for times in found.values() for us in times]
        rows.append(row(group, 'all', every, floors.get(group)))
        largest = sorted(found.items(), key=lambda item: -sum(item[1]))[:LARGEST]
        rows += [row(group, kernel, times) for kernel, times in largest]
    busy = sum(row['us'] for row in rows if row['kernel'] == 'all')
    rows.append(row('waiting', 'all', []) | {'us': max(step_us - busy, 0.0), 'share': max(1 - busy / step_us, 0.0)})
    rows.append(row('step', 'all', [us for _, us in work], sum(floors.values())) | {'us': step_us, 'share': 1.0})
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    parser.add_argument('--peer', choices=PEERS, default='ours')
    parser.add_argument('--variant', choices=VARIANTS, default='tiny')
    parser.add_argument('--window', type=int, default=7)
    parser.add_argument('--dtype', choices=AUTOCAST, default='bf16')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--size', type=int, nargs=2, default=[800, 1344], metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--steps', type=int, default=5, help='that are profiled and averaged')
    parser.add_argument('--repeats', type=int, default=20, help='without the profiler')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args(argv)
    sizes = Sizes(args.variant, args.window, tuple(args.size))
    set_tf32(args.dtype)
    image = torch.randn(args.batch, 3, *args.size, device='cuda')
    model = build_peer(args.peer, sizes, 'cuda')
    step = Step(model, image, sizes.map_shapes(args.batch), args.dtype, train=True)
    step_us = 1000 * measure({'step': step}, args.repeats)['step']['median ms']
    case = {'peer': args.peer, 'variant': args.variant, 'window': args.window, 'dtype': args.dtype}
    case |= {'batch': args.batch, 'height': args.size[0], 'width': args.size[1]}
    where = conditions(args.commit)
    work = gpu_work(step, args.steps)
    rows = [
        case | rounded(row) | where for row in table(work, args.steps, step_us, floor_us(sizes, args.batch, args.dtype))
    ]
    for row in rows:
        print(*list(row.values())[len(case) : -len(where)])
    if args.out:
        write_rows(args.out, rows)


if __name__ == '__main__':
    main()
