"""Whole Swin backbones, ours and those of other libraries, training and inference, in turns in one process.

    python tools/benchmarks/backbone.py --out tools/benchmarks/results/backbone-tiny-h100.csv
    python tools/benchmarks/backbone.py --device cpu --threads 2 --out tools/benchmarks/results/backbone-tiny-cpu.csv

A training step is forward and backward from given gradients of the four maps, with drop path 0.2 and no optimizer; an
inference is evaluation mode in `torch.inference_mode`. A peer that is missing or fails gets a row with the reason. The
file is written anew after every case, so that an interrupted run leaves what it measured.
"""

import argparse
import gc
import itertools
import time
import traceback
from pathlib import Path

import torch
from harness import conditions, gpu_work, measure, rounded, version_of, write_rows
from peers import AUTOCAST, PEERS, Sizes, Step, build_peer, set_tf32

from swin_mmdet.variants import VARIANTS

# each row has its time in proportion to theirs
ANCHORS = ('mmdet', 'timm compiled')
MEASURED = ('median ms', 'p20 ms', 'p80 ms', 'peak MiB', 'launch us')


def parse_args(argv: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    parser.add_argument('--device', choices=('cuda', 'cpu'), default='cuda')
    parser.add_argument('--peers', nargs='+', choices=PEERS, metavar='PEER', help=f'of: {", ".join(PEERS)}')
    parser.add_argument('--variants', nargs='+', choices=VARIANTS, default=['tiny'])
    parser.add_argument('--windows', type=int, nargs='+', default=[7])
    parser.add_argument('--modes', nargs='+', choices=('train', 'infer'), default=['train', 'infer'])
    parser.add_argument('--dtypes', nargs='+', choices=AUTOCAST, help='default: bf16, on a CPU fp32')
    parser.add_argument('--batches', type=int, nargs='+', help='default: 2 16, on a CPU 1')
    parser.add_argument('--size', type=int, nargs=2, default=[800, 1344], metavar=('HEIGHT', 'WIDTH'))
    parser.add_argument('--repeats', type=int, default=20)
    parser.add_argument('--threads', type=int, help='of a CPU (default: as many as torch takes)')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args(argv)
    on_gpu = args.device == 'cuda'
    args.peers = args.peers or (
        [
            *('ours', 'ours without graphs', 'ours sdpa', 'ours compiled'),
            *('mmdet', 'timm', 'timm compiled', 'torchvision', 'transformers'),
        ]
        if on_gpu
        else ['ours', 'mmdet']
    )
    args.dtypes = args.dtypes or (['bf16'] if on_gpu else ['fp32'])
    args.batches = args.batches or ([2, 16] if on_gpu else [1])
    return args


def measure_case(
    peers: list[str], sizes: Sizes, mode: str, dtype: str, batch: int, device: str, repeats: int
) -> dict[str, dict]:
    """Peer -> what was measured, or its 'problem'."""
    set_tf32(dtype)
    image = torch.randn(batch, 3, *sizes.image, device=device)
    steps, problems = {}, {}
    for name in peers:
        start = time.perf_counter()
        try:
            model = build_peer(name, sizes, device)
            steps[name] = Step(model, image, sizes.map_shapes(batch), dtype, train=mode == 'train')
        except Exception as error:  # whatever it is, it is reported and must not stop the others
            traceback.print_exc()
            problems[name] = f'{type(error).__name__}: {error}'.splitlines()[0]
        print(f'{name}: first step after {time.perf_counter() - start:.1f} s', flush=True)
    measured = measure(steps, repeats, device=device)
    for name, step in steps.items():
        if device == 'cuda':
            measured[name]['peak GiB'] = (measured[name]['peak MiB'] + step.held_mib()) / 1024
            # after the times: a profiler may slow down what follows
            measured[name]['kernels'] = len(gpu_work(step))
        for anchor in ANCHORS:
            if anchor in steps:
                measured[name][f'to {anchor}'] = measured[name]['median ms'] / measured[anchor]['median ms']
    return {name: measured.get(name) or {'problem': problems[name]} for name in peers}


def main(argv: list[str] | None = None) -> None:
    args = parse_args(argv)
    if args.threads:
        torch.set_num_threads(args.threads)
    where = conditions(args.commit, args.device)
    columns = (*MEASURED, 'peak GiB', 'kernels', *(f'to {anchor}' for anchor in ANCHORS), 'problem')
    rows = []
    cases = itertools.product(args.variants, args.windows, args.dtypes, args.batches, args.modes)
    for variant, window, dtype, batch, mode in cases:
        sizes = Sizes(variant, window, tuple(args.size))
        found = measure_case(args.peers, sizes, mode, dtype, batch, args.device, args.repeats)
        case = {'variant': variant, 'window': window, 'mode': mode, 'dtype': dtype, 'batch': batch}
        case |= dict(zip(('height', 'width'), args.size, strict=True))
        for name, values in found.items():
            values = {column: values.get(column) for column in columns}
            library = 'swin_mmdet' if name.startswith('ours') else name.split()[0]
            rows.append(rounded({'peer': name, **case, **values, 'version': version_of(library), **where}))
            print(*rows[-1].values(), flush=True)
        if args.out:
            write_rows(args.out, rows)
        # the next case compiles for its own sizes, and needs the memory
        torch.compiler.reset()
        gc.collect()
        if args.device == 'cuda':
            torch.cuda.empty_cache()


if __name__ == '__main__':
    main()
