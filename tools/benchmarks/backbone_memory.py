"""What activation checkpointing costs and saves: a training step of our backbones, with none, two and all stages.

    python tools/benchmarks/backbone_memory.py --out tools/benchmarks/results/backbone_memory-h100.csv

The step is that of `backbone.py`. Memory is the peak of what is allocated, parameters and image included.
"""

import argparse
from pathlib import Path

import torch
from harness import conditions, measure, rounded, write_rows
from peers import AUTOCAST, Sizes, Step, ours, set_tf32

from swin_mmdet.variants import VARIANTS

# stages that are computed again in backward -> the argument of our backbone
CHECKPOINTED = {'none': False, '1 and 2': (0, 1), 'all': True}


def measure_variant(sizes: Sizes, batch: int, dtype: str, device: str, repeats: int) -> list[dict]:
    """A row for each choice of stages, in proportion to none."""
    set_tf32(dtype)
    image = torch.randn(batch, 3, *sizes.image, device=device)
    steps = {
        name: Step(ours(sizes, with_cp=with_cp).to(device), image, sizes.map_shapes(batch), dtype, train=True)
        for name, with_cp in CHECKPOINTED.items()
    }
    rows = []
    for name, values in measure(steps, repeats, device=device).items():
        row = {'checkpointed stages': name, **values, 'peak GiB': None}
        if device == 'cuda':
            row['peak GiB'] = (values['peak MiB'] + steps[name].held_mib()) / 1024
        none = rows[0] if rows else row
        for ratio, column in {'time to none': 'median ms', 'memory to none': 'peak GiB'}.items():
            row[ratio] = row[column] / none[column] if row[column] else None
        rows.append(row)
    return rows


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda', help='on a CPU only the time is measured')
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument('--window', type=int, default=7)
    parser.add_argument('--dtype', choices=AUTOCAST, default='bf16')
    parser.add_argument('--batch', type=int, default=2)
    parser.add_argument('--size', type=int, nargs=2, default=[800, 1344], metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--repeats', type=int, default=10)
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args(argv)
    where = conditions(args.commit, args.device)
    rows = []
    for variant in args.variants:
        case = {'variant': variant, 'window': args.window, 'dtype': args.dtype, 'batch': args.batch}
        case |= dict(zip(('height', 'width'), args.size, strict=True))
        sizes = Sizes(variant, args.window, tuple(args.size))
        for row in measure_variant(sizes, args.batch, args.dtype, args.device, args.repeats):
            rows.append(rounded(case | row) | where)
            print(*rows[-1].values(), flush=True)
        if args.out:
            write_rows(args.out, rows)


if __name__ == '__main__':
    main()
