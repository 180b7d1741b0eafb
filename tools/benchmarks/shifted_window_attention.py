"""The attention op on the stages of Swin-T at 800x1344, each backend beside the floor of its memory traffic.

    python tools/benchmarks/shifted_window_attention.py --out tools/benchmarks/results
    python tools/benchmarks/shifted_window_attention.py --window 12 --cosine

From the qkv map to the output map: padding, roll, partition, bias, mask, reverse and crop included. Times are of CUDA
graphs, so that they are the GPU's alone; 'launch us' is what the CPU takes without one. Needs a GPU.
"""

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from harness import TERABYTES_PER_SECOND, conditions, graphed, measure, rounded, write_rows

from swin_mmdet.ops import shifted_window_attention

# height, width, heads of the stages; 32 channels a head
STAGES = {1: (200, 336, 3), 2: (100, 168, 6), 3: (50, 84, 12), 4: (25, 42, 24)}
HEAD_DIM = 32
DTYPES = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'fp32': torch.float32}


def make_ways(
    stage: int, batch: int, dtype: torch.dtype, backends: list[str], backward: bool, window: int, cosine: bool
) -> dict[str, Callable]:
    """Name of a backend -> one forward, or forward and backward, of the op."""
    height, width, heads = STAGES[stage]
    channels = heads * HEAD_DIM
    qkv = torch.randn(batch, height, width, 3 * channels, device='cuda', dtype=dtype, requires_grad=backward)
    table = torch.randn((2 * window - 1) ** 2, heads, device='cuda', requires_grad=backward)
    pad = torch.randn(3 * channels, device='cuda', requires_grad=backward)
    scale = torch.full((heads,), 10.0, device='cuda', requires_grad=backward) if cosine else None
    inputs = [x for x in (qkv, table, pad, scale) if x is not None]
    grad = torch.randn(batch, height, width, channels, device='cuda', dtype=dtype)

    def make(backend: str) -> Callable:
        def op(
            qkv: torch.Tensor, table: torch.Tensor, pad: torch.Tensor, scale: torch.Tensor | None = None
        ) -> torch.Tensor:
            return shifted_window_attention(
                qkv,
                table,
                window_size=window,
                shift_size=window // 2,
                cosine_scale=scale,
                pad_value=pad,
                backend=backend.removesuffix(' compiled'),
            )

        run = torch.compile(op) if backend.endswith(' compiled') else op

        def way() -> None:
            out = run(*inputs)
            if backward:
                torch.autograd.grad(out, inputs, grad)

        return way

    return {backend: make(backend) for backend in backends}


def floor_ms(stage: int, batch: int, dtype: torch.dtype, backward: bool) -> float:
    """Milliseconds to move the bytes that must move: qkv and the output, in backward also their gradients."""
    height, width, heads = STAGES[stage]
    token_bytes = heads * HEAD_DIM * torch.finfo(dtype).bits // 8
    # forward reads 3 and writes 1; backward reads 3 + 1 and writes 3
    values = 11 if backward else 4
    return batch * height * width * token_bytes * values / TERABYTES_PER_SECOND / 1e9


def operations(stage: int, batch: int, window: int, backward: bool) -> float:
    """Of the matrix products, padding tokens included; backward makes the first of forward's two again."""
    height, width, heads = STAGES[stage]
    windows = batch * -(-height // window) * -(-width // window)
    products = 2 + 5 if backward else 2
    return products * windows * heads * 2 * window**4 * HEAD_DIM


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='folder for the CSV file (default: only print)')
    parser.add_argument('--stages', type=int, nargs='+', default=list(STAGES))
    parser.add_argument('--batches', type=int, nargs='+', default=[2, 16])
    parser.add_argument('--dtypes', nargs='+', choices=DTYPES, default=['bf16'])
    parser.add_argument('--backends', nargs='+', default=['triton', 'sdpa', 'reference', 'reference compiled'])
    parser.add_argument('--window', type=int, default=7, help='window size; the shift is half of it')
    parser.add_argument('--cosine', action='store_true', help='the cosine attention of SwinV2')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args()
    where = conditions(args.commit)
    rows = []
    for dtype in args.dtypes:
        for stage in args.stages:
            for batch in args.batches:
                for direction in ('forward', 'forward + backward'):
                    backward = direction != 'forward'
                    ways = make_ways(stage, batch, DTYPES[dtype], args.backends, backward, args.window, args.cosine)
                    floor = floor_ms(stage, batch, DTYPES[dtype], backward)
                    eager = measure(ways, repeats=7)
                    for name, values in measure({name: graphed(way) for name, way in ways.items()}).items():
                        row = {'backend': name, 'direction': direction, 'dtype': dtype, 'stage': stage, 'batch': batch}
                        row |= values | {key: eager[name][key] for key in ('peak MiB', 'launch us')}
                        row |= {'window': args.window, 'attention': 'cosine' if args.cosine else 'scaled'}
                        row |= {
                            'floor ms': floor,
                            'TB/s': floor * TERABYTES_PER_SECOND / values['median ms'],
                            'TFLOP/s': operations(stage, batch, args.window, backward) / values['median ms'] / 1e9,
                        }
                        rows.append(rounded(row) | where)
                        print(*rows[-1].values(), flush=True)
                    torch.compiler.reset()
    if args.out:
        gpu = where['device'].split()[1].lower()
        kind = ('-cosine' if args.cosine else '') + (f'-window{args.window}' if args.window != 7 else '')
        name = f'shifted_window_attention{kind}-{gpu}-pt{where["torch"].split("+")[0]}.csv'
        write_rows(args.out / name, rows)


if __name__ == '__main__':
    main()
