"""What a convolution costs on a map of a new size, once, and on one that it has met: forward and backward.

    python tools/benchmarks/new_sizes.py --out tools/benchmarks/results/new_sizes-h200.csv

Maps [2, C, H, W] of ten sizes in bf16 with channels innermost; medians over the sizes, in ms. `first` and `again` are
from an idle GPU to an idle GPU, `steady` is one of five in a row.
"""

import argparse
import time
from collections.abc import Callable
from pathlib import Path

import torch
import torch.nn.functional as F
from harness import conditions, rounded, write_rows
from torch import Tensor

from swin_mmdet.ops.pointwise_conv import PointwiseProducts

SIZES = [(100 + 4 * i, 160 + 8 * i) for i in range(10)]


def ways() -> dict[str, tuple[Callable[[Tensor], Tensor], int]]:
    """Each with the channels of its maps."""
    def weight(out: int, channels: int, size: int) -> Tensor:
        made = torch.randn(out, channels, size, size, device='cuda', dtype=torch.bfloat16)
        return made.to(memory_format=torch.channels_last).requires_grad_()

    wide, narrow = weight(256, 256, 3), weight(256, 192, 1)

    def product(x: Tensor) -> Tensor:
        with PointwiseProducts():
            return F.conv2d(x, narrow)

    return {
        '3 x 3, cuDNN': (lambda x: F.conv2d(x, wide, padding=1), 256),
        '1 x 1, cuDNN': (lambda x: F.conv2d(x, narrow), 192),
        '1 x 1, product': (product, 192),
    }


def step(way: Callable[[Tensor], Tensor], x: Tensor) -> None:
    """Forward and backward."""
    out = way(x)
    out.backward(torch.ones_like(out))


def timed(run: Callable[[], None]) -> float:
    """Milliseconds from an idle GPU to an idle GPU."""
    torch.cuda.synchronize()
    start = time.perf_counter()
    run()
    torch.cuda.synchronize()
    return 1000 * (time.perf_counter() - start)


def measure(way: Callable[[Tensor], Tensor], channels: int) -> dict[str, float]:
    """Medians over the sizes."""
    times: dict[str, list[float]] = {'first ms': [], 'again ms': [], 'steady ms': []}
    for size in [(50, 60), *SIZES]:
        x = torch.randn(2, channels, *size, device='cuda', dtype=torch.bfloat16)
        x = x.to(memory_format=torch.channels_last).requires_grad_()
        found = [timed(lambda: step(way, x)) for _ in range(2)]  # noqa: B023
        found.append(timed(lambda: [step(way, x) for _ in range(5)] and None) / 5)  # noqa: B023
        # the first makes what libraries make once
        if size != (50, 60):
            for name, value in zip(times, found, strict=True):
                times[name].append(value)
    return {name: sorted(values)[len(values) // 2] for name, values in times.items()}


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args(argv)
    where = conditions(args.commit)
    rows = [rounded({'layer': name, **measure(*way)}) | where for name, way in ways().items()]
    for row in rows:
        print(*row.values())
    if args.out:
        write_rows(args.out, rows)


if __name__ == '__main__':
    main()
