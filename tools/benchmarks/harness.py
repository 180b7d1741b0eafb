"""Time several ways to do the same, in alternation and on a GPU, and write what came out with its conditions."""

import csv
import platform
import subprocess
from collections.abc import Callable
from datetime import date
from pathlib import Path

import torch

# on a GPU the L2 cache would keep small inputs from one run to the next
CACHE_BYTES = 256 * 2**20


def conditions(commit: str | None = None) -> dict[str, str]:
    """Where and with what a row was measured."""
    import triton

    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else f'{platform.machine()} CPU'
    return {
        'gpu': gpu,
        'torch': torch.__version__,
        'triton': triton.__version__,
        'commit': commit or subprocess.check_output(['git', 'rev-parse', '--short', 'HEAD'], text=True).strip(),
        'date': date.today().isoformat(),
    }


def measure(ways: dict[str, Callable[[], object]], repeats: int = 20, warmup: int = 3) -> dict[str, dict[str, float]]:
    """Name -> median, p20 and p80 in milliseconds and the peak of allocated memory in MiB above the start.

    The ways take turns, so that a change of clocks meets all of them; a cache-sized buffer is written before each.
    """
    flush = torch.empty(CACHE_BYTES, dtype=torch.int8, device='cuda')
    peaks = {}
    for name, way in ways.items():
        for _ in range(warmup):
            way()
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        way()
        torch.cuda.synchronize()
        peaks[name] = (torch.cuda.max_memory_allocated() - before) / 2**20
    times: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(repeats):
        for name, way in ways.items():
            flush.zero_()
            start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
            start.record()
            way()
            end.record()
            torch.cuda.synchronize()
            times[name].append(start.elapsed_time(end))
    result = {}
    for name, values in times.items():
        ordered = torch.tensor(values).quantile(torch.tensor([0.5, 0.2, 0.8])).tolist()
        result[name] = dict(zip(('median ms', 'p20 ms', 'p80 ms'), ordered, strict=True)) | {'peak MiB': peaks[name]}
    return result


def write_rows(path: Path, rows: list[dict]) -> None:
    """A CSV file with the columns of the first row."""
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)
