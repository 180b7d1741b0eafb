"""Time several ways to do the same, in alternation on a GPU or a CPU, and write what came out with its conditions."""

import csv
import gc
import json
import platform
import shutil
import subprocess
import tempfile
import time
from collections.abc import Callable
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch
from torch.profiler import ProfilerActivity, profile

Way = Callable[[], object]
# the caches of a GPU or CPU would keep small inputs from one run to the next
CACHE_BYTES = 256 * 2**20
# what an H100 reaches on large copies
TERABYTES_PER_SECOND = 3.0
# categories of what runs on the GPU, in a trace of torch.profiler
GPU_WORK = ('kernel', 'gpu_memcpy', 'gpu_memset')


def version_of(package: str) -> str:
    """The installed version, or nothing."""
    try:
        return version(package)
    except PackageNotFoundError:
        return ''


def conditions(commit: str | None = None, device: str = 'cuda') -> dict[str, str]:
    """Where and with what a row was measured."""
    on_gpu = device == 'cuda'
    return {
        'device': torch.cuda.get_device_name() if on_gpu else f'{_cpu()}, {torch.get_num_threads()} threads',
        'driver': _driver() if on_gpu else '',
        'torch': torch.__version__,
        'triton': version_of('triton') if on_gpu else '',
        'commit': commit or subprocess.check_output(['git', 'rev-parse', '--short', 'HEAD'], text=True).strip(),
        'date': date.today().isoformat(),
    }


def mmcv_in_words() -> str:
    """Version of the installed mmcv, and whether its ops are compiled; after `import swin_mmdet.compat`."""
    import mmcv._ext

    from swin_mmdet.compat.mmcv_ops.install import is_ours

    return f'{mmcv.__version__} {"without ops" if is_ours(mmcv._ext) else "compiled"}'


def _cpu() -> str:
    """The name of the processor, where the system tells it."""
    info = Path('/proc/cpuinfo')
    lines = info.read_text().splitlines() if info.exists() else []
    names = [line.split(':')[1].strip() for line in lines if line.startswith('model name')]
    return names[0] if names else f'{platform.machine()} CPU'


def _driver() -> str:
    if shutil.which('nvidia-smi') is None:
        return ''
    query = ['nvidia-smi', '--query-gpu=driver_version', '--format=csv,noheader']
    return subprocess.check_output(query, text=True).split()[0]


def measure(ways: dict[str, Way], repeats: int = 20, warmup: int = 4, device: str = 'cuda') -> dict[str, dict]:
    """Name -> median, p20 and p80 in milliseconds; on a GPU also memory and launch cost, which are None on a CPU.

    'peak MiB' is what a run allocates at most above the start, with what its CUDA graphs keep; 'launch us' the CPU's
    microseconds until the call returns. The ways take turns, so that a change of clocks meets all of them; a buffer of
    the size of a cache is written before each.
    """
    if device == 'cuda':
        # what an earlier call left, graphs and their memory above all, is not freed within this one
        gc.collect()
        torch.cuda.empty_cache()
    flush = torch.empty(CACHE_BYTES, dtype=torch.int8, device=device)
    peaks = {}
    for name, way in ways.items():
        pools = _graph_pools_mib()
        for _ in range(warmup):
            way()
        # what CUDA graphs keep between their runs is theirs alone, and no run allocates it again
        peaks[name] = _peak_mib(way) + _graph_pools_mib() - pools if device == 'cuda' else None
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    run = _run_on_gpu if device == 'cuda' else _run_on_cpu
    retries = _allocator_retries()
    for _ in range(repeats):
        for name, way in ways.items():
            flush.zero_()
            times[name].append(run(way))
    if _allocator_retries() > retries:
        print('warning: memory ran short, and freeing it is in the times: measure fewer ways at once', flush=True)
    result = {}
    for name, values in times.items():
        took, returned = torch.tensor(values).T
        quantiles = took.quantile(torch.tensor([0.5, 0.2, 0.8])).tolist()
        result[name] = dict(zip(('median ms', 'p20 ms', 'p80 ms'), quantiles, strict=True)) | {
            'peak MiB': peaks[name],
            'launch us': 1000 * returned.median().item() if device == 'cuda' else None,
        }
    return result


def _allocator_retries() -> int:
    """How often the GPU's allocator had to give back what it keeps before it found memory."""
    return torch.cuda.memory_stats().get('num_alloc_retries', 0) if torch.cuda.is_initialized() else 0


def graphed(way: Way) -> Way:
    """The same recorded as a CUDA graph: its time is the GPU's, whatever the CPU takes to launch it."""
    stream = torch.cuda.Stream()
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(3):
            way()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph, stream=stream):
        way()

    def replay(_way: Way = way) -> None:
        # what it reads lives as long: `measure` gives back the memory of everything else
        graph.replay()

    return replay


def _graph_pools_mib() -> float:
    """What all recorded CUDA graphs hold together."""
    if not torch.cuda.is_initialized():
        return 0.0
    segments = torch.cuda.memory_snapshot()
    return sum(one['total_size'] for one in segments if tuple(one['segment_pool_id']) != (0, 0)) / 2**20


def _peak_mib(way: Way) -> float:
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    way()
    torch.cuda.synchronize()
    return (torch.cuda.max_memory_allocated() - before) / 2**20


def _run_on_gpu(way: Way) -> tuple[float, float]:
    """Milliseconds until the GPU was done, and until the call returned."""
    start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
    start.record()
    returned = _run_on_cpu(way)[1]
    end.record()
    torch.cuda.synchronize()
    return start.elapsed_time(end), returned


def _run_on_cpu(way: Way) -> tuple[float, float]:
    """The same on a CPU, where both are one."""
    start = time.perf_counter()
    way()
    milliseconds = 1000 * (time.perf_counter() - start)
    return milliseconds, milliseconds


def gpu_work(way: Way, runs: int = 1) -> list[tuple[str, float]]:
    """Name and microseconds of each kernel, copy and fill that some runs put on the GPU."""
    torch.cuda.synchronize()
    with profile(activities=[ProfilerActivity.CUDA]) as profiler:
        for _ in range(runs):
            way()
        torch.cuda.synchronize()
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, 'trace.json')
        profiler.export_chrome_trace(str(path))
        # not strict: names of kernels may hold any character
        return work_of(json.loads(path.read_text(errors='replace'), strict=False))


def work_of(trace: dict) -> list[tuple[str, float]]:
    """The same from the trace that torch.profiler exports."""
    return [(event['name'], event['dur']) for event in trace['traceEvents'] if event.get('cat') in GPU_WORK]


def rounded(row: dict) -> dict:
    """A row to print and to keep: four digits after the point."""
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in row.items()}


def write_rows(path: Path, rows: list[dict]) -> None:
    """A CSV file with the columns of the first row."""
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


def keep_row(path: Path, row: dict[str, str], key: tuple[str, ...], order: Callable[[dict[str, str]], object]) -> None:
    """Put a row into a CSV file, in the place of an earlier one that has the same in the columns of the key.

    order: what of a row all are sorted by.
    """
    rows = list(csv.DictReader(path.open())) if path.exists() else []
    rows = [one for one in rows if any(one[name] != row[name] for name in key)]
    with path.open('w', newline='') as file:
        writer = csv.DictWriter(file, list(row), lineterminator='\n')
        writer.writeheader()
        writer.writerows(sorted([*rows, row], key=order))
