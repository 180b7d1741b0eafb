"""A training step and an inference of whole detectors, mmdet's parts beside ours, in turns in one process.

    python tools/benchmarks/detector.py --out tools/benchmarks/results/detector-h100.csv

A training step is the model's `train_step` from uint8 images in pinned memory, with the config's optimizer wrapper in
mixed precision: ours in bf16, mmdet's in the same type where its parts and a compiled mmcv run in it, else in fp16. An
inference is `test_step` and a look at the detections of the batch before, as an evaluation has it, with masks as they
are returned: mmdet's are bitmaps on the GPU, ours run lengths on the host. Images, boxes, masks and weights are random,
and as many objects are detected as there are. The parts are timed in runs of their own, each from an idle GPU to an
idle GPU and without recorded steps, so that they are more than the whole.

Peers with and without a compiled mmcv need two environments: two calls that are given the same file with `--turns`
build their detectors at the same time and measure one after the other, case by case.
"""

import argparse
import fcntl
import gc
import itertools
import os
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import numpy as np
import torch
from harness import conditions, gpu_work, measure, mmcv_in_words, rounded, write_rows
from mmdet.utils import register_all_modules
from mmengine.logging import MMLogger
from whole_detectors import OURS, Detector

# images of a batch, height, width, objects of an image
CASES = {
    '2x800x1344': (2, 800, 1344, 10),
    '8x512x512': (8, 512, 512, 27),
    '8x800x1344': (8, 800, 1344, 10),
    '2x1024x1024': (2, 1024, 1024, 10),
    '8x1024x1024': (8, 1024, 1024, 30),
    '16x640x640': (16, 640, 640, 7),
}
# seconds that a call waits for others to build
PATIENCE = 90.0
PEERS = ('ours', 'ours without recordings', 'ours without graphs', 'mmdet', 'mmdet with our backbone')
PARTS = ('preprocess', 'backbone', 'neck', 'rpn', 'roi', 'transformer', 'head', 'backward', 'optimizer')


@contextmanager
def timed(parts: dict[str, tuple[object, str]], times: dict[str, float]) -> Iterator[None]:
    """Adds the milliseconds of the functions to `times`, from an idle GPU to an idle GPU."""

    def wrap(name: str, function: Callable) -> Callable:
        def run(*args, **kwargs) -> object:
            torch.cuda.synchronize()
            start = time.perf_counter()
            result = function(*args, **kwargs)
            torch.cuda.synchronize()
            times[name] = times.get(name, 0.0) + 1000 * (time.perf_counter() - start)
            return result

        return run

    for name, (owner, function) in parts.items():
        setattr(owner, function, wrap(name, getattr(owner, function)))
    try:
        yield
    finally:
        for owner, function in parts.values():
            delattr(owner, function)


def part_times(detector: Detector, runs: int) -> dict[str, float]:
    """Median milliseconds of each part."""
    found = []
    for _ in range(runs):
        times: dict[str, float] = {}
        with timed(detector.parts(), times):
            detector()
        found.append(times)
    return {f'{name} ms': float(np.median([times[name] for times in found])) for name in found[0]}


def synchronisations(detector: Detector) -> int:
    """How often the host waits for the GPU in a step, as PyTorch knows it."""
    with warnings.catch_warnings(record=True) as found:
        warnings.simplefilter('always')
        torch.cuda.set_sync_debug_mode('warn')
        try:
            detector()
        finally:
            torch.cuda.set_sync_debug_mode('default')
    return sum('called a synchronizing CUDA operation' in str(one.message) for one in found)


@contextmanager
def turn(path: Path | None, calls: int = 1) -> Iterator[None]:
    """While no other process that was given the same file has its turn; not before `calls` of them have come here."""
    if path is None:
        yield
        return
    with path.open('a+') as file:
        file.write(f'{os.getpid()}\n')
        file.flush()
        end = time.monotonic() + PATIENCE
        while len(path.read_text().splitlines()) < calls and time.monotonic() < end:
            time.sleep(0.1)
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def build(name: str, peers: list[str], case: tuple[int, ...], mode: str) -> tuple[dict[str, Detector], dict[str, str]]:
    """The peers' detectors after a step, which compiles kernels, and why there is none."""
    detectors, failed = {}, {}
    for peer in peers:
        with reasons(peer, failed):
            one = Detector(name, peer, case, mode)
            one()
            detectors[peer] = one
    return detectors, failed


@contextmanager
def reasons(peer: str, failed: dict[str, str]) -> Iterator[None]:
    """An error is a peer's reason."""
    try:
        yield
    except Exception as error:
        traceback.print_exc()
        failed[peer] = f'{type(error).__name__}: {error}'.splitlines()[0][:200]


def measure_case(
    peers: list[str], detectors: dict[str, Detector], failed: dict[str, str], labels: dict, repeats: int
) -> Iterator[dict]:
    """A row for each peer, mmdet's time in all of them."""
    results = measure(detectors, repeats)
    theirs = results.get('mmdet', {}).get('median ms')
    for peer in peers:
        row = {'peer': peer} | labels
        if peer in detectors:
            work = gpu_work(detectors[peer])
            median = results[peer]['median ms']
            row |= results[peer] | {
                'to mmdet': median / theirs if theirs else None,
                'kernels': len(work),
                'GPU busy': sum(us for _, us in work) / 1000 / median,
                'synchronisations': synchronisations(detectors[peer]),
            }
            row |= part_times(detectors[peer], max(3, repeats // 3))
        yield row | {'failed': failed.get(peer, '')}


def make_parser(description: str) -> argparse.ArgumentParser:
    """What every benchmark of these steps is asked."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    parser.add_argument('--detectors', nargs='+', choices=OURS, default=['mask-rcnn'])
    parser.add_argument('--cases', nargs='+', choices=CASES, default=list(CASES))
    parser.add_argument('--modes', nargs='+', choices=('train', 'infer'), default=['train', 'infer'])
    parser.add_argument('--repeats', type=int, default=12)
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    return parser


def main(argv: list[str] | None = None) -> None:
    parser = make_parser(__doc__)
    parser.add_argument('--peers', nargs='+', choices=PEERS, default=['ours', 'ours without graphs', 'mmdet'])
    parser.add_argument('--turns', type=Path, help='a new file that calls share which measure in turns')
    parser.add_argument('--calls', type=int, default=1, help='how many share it: none measures while another builds')
    args = parser.parse_args(argv)
    register_all_modules()
    # it says every parameter's learning rate
    MMLogger.get_current_instance().setLevel('WARNING')
    where = conditions(args.commit) | {'mmcv': mmcv_in_words()}
    columns = [*(f'{part} ms' for part in PARTS), 'failed']
    rows = []
    for name, case in itertools.product(args.detectors, args.cases):
        built = {mode: build(name, args.peers, CASES[case], mode) for mode in args.modes}
        with turn(args.turns, args.calls):
            for mode, (detectors, failed) in built.items():
                labels = {'detector': name, 'mode': mode} | dict(zip(SIZES, CASES[case], strict=True))
                for row in measure_case(args.peers, detectors, failed, labels, args.repeats):
                    # the same columns whatever parts there are: rows of several calls go into one file
                    rows.append(rounded({key: row.get(key) for key in ('peer', *labels, *MEASURED, *columns)}) | where)
                    print(*rows[-1].values(), flush=True)
                    if args.out:
                        write_rows(args.out, rows)
                detectors.clear()
                gc.collect()
                torch.cuda.empty_cache()


SIZES = ('batch', 'height', 'width', 'objects')


MEASURED = (
    'median ms', 'p20 ms', 'p80 ms', 'peak MiB', 'launch us', 'to mmdet', 'kernels', 'GPU busy', 'synchronisations',
)  # fmt: skip


if __name__ == '__main__':
    main()
