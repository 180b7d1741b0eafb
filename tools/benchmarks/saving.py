"""What saving costs a training: how long a step waits for it, and how much slower steps are while a file is written.

    python tools/benchmarks/saving.py FOLDER --out tools/benchmarks/results/saving-cpu.csv

On a CPU a Swin backbone with AdamW takes steps on random images, on a GPU a whole Mask R-CNN as in `detector.py`.
`at once` writes before the next step, as mmengine does, and `background` copies the state and writes it in a thread.
Steps with nothing to write, and those beside a file that is being written, take turns.
"""

import argparse
import statistics
import sys
import time
from pathlib import Path

import torch
from harness import conditions, rounded, write_rows

from swin_mmdet.engine.saving.writer import CheckpointWriter
from swin_mmdet.models import SwinTransformer

MIB = 2**20
# steps in which kernels are compiled and recorded
WARM_UP = 8


class Training:
    """Steps of a backbone from scratch."""

    def __init__(self, arch: str, size: int, batch: int) -> None:
        self.name = f'swin {arch}, {batch} x {size}x{size}'
        self.model = SwinTransformer(arch=arch).train()
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4)
        self.images = torch.randn(batch, 3, size, size)

    def seconds(self) -> float:
        """Of one step, until its end."""
        begin = time.perf_counter()
        sum(out.square().mean() for out in self.model(self.images)).backward()
        self.optimizer.step()
        self.optimizer.zero_grad()
        return time.perf_counter() - begin

    def state(self) -> dict:
        return {'state_dict': self.model.state_dict(), 'optimizer': self.optimizer.state_dict()}


class TrainingOnGpu:
    """Steps of a detector of `detector.py`."""

    def __init__(self, name: str, case: str) -> None:
        from detector import CASES, Detector, MMLogger, register_all_modules

        register_all_modules()
        MMLogger.get_current_instance().setLevel('WARNING')
        self.name, self.step = f'{name}, {case}', Detector(name, 'ours', CASES[case], 'train')

    def seconds(self) -> float:
        torch.cuda.synchronize()
        begin = time.perf_counter()
        self.step()
        torch.cuda.synchronize()
        return time.perf_counter() - begin

    def state(self) -> dict:
        return {'state_dict': self.step.model.state_dict(), 'optimizer': self.step.wrapper.state_dict()}


def measure(training: Training | TrainingOnGpu, folder: Path, saves: int, background: bool) -> dict[str, float]:
    """Medians over so many saves."""
    writer, path = CheckpointWriter(background), folder / 'saving.pth'
    alone, beside, waits, writes = [], [], [], []
    for _ in range(WARM_UP):
        training.seconds()
    for _ in range(saves):
        alone += [training.seconds() for _ in range(3)]
        begin = time.perf_counter()
        writer.write(training.state(), path)
        waits.append(time.perf_counter() - begin)
        # those that a write ends in are neither the one nor the other
        while writer.is_writing:
            seconds = training.seconds()
            beside += [seconds] if writer.is_writing else []
        writes.append(time.perf_counter() - begin)
        writer.wait()
    step = statistics.median(alone)
    slower = statistics.median(beside) / step if beside else 1.0
    return {
        'MiB': path.stat().st_size / MIB,
        'step ms': 1000 * step,
        'a save holds up ms': 1000 * statistics.median(waits),
        'until written ms': 1000 * statistics.median(writes),
        'steps beside': len(beside),
        'step beside to step': slower,
    }


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--arch', default='tiny', help='on a CPU')
    parser.add_argument('--size', type=int, default=128, help='on a CPU')
    parser.add_argument('--batch', type=int, default=2, help='on a CPU')
    parser.add_argument('--detectors', nargs='+', default=['mask-rcnn'], help='on a GPU')
    parser.add_argument('--case', default='2x800x1344', help='on a GPU')
    parser.add_argument('--saves', type=int, default=5)
    parser.add_argument('--out', type=Path, help='CSV')
    args = parser.parse_args(argv)
    args.folder.mkdir(parents=True, exist_ok=True)
    if torch.cuda.is_available():
        device, trainings = 'cuda', (TrainingOnGpu(name, args.case) for name in args.detectors)
    else:
        device, trainings = 'cpu', iter([Training(args.arch, args.size, args.batch)])
    rows = []
    for training in trainings:
        for background in (False, True):
            numbers = measure(training, args.folder, args.saves, background)
            rows.append({'training': training.name, 'way': 'background' if background else 'at once', **numbers})
            print(rounded(rows[-1]), flush=True)
        if args.out:
            # after each: on a GPU the next may not fit
            write_rows(args.out, [rounded(row) | conditions(device=device) for row in rows])
    return 0


if __name__ == '__main__':
    sys.exit(main())
