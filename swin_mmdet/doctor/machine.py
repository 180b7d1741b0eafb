"""The machine: GPUs and their driver, memory, disk, shared memory and limits."""

import shutil
import subprocess
from pathlib import Path

from swin_mmdet.doctor.finding import Finding

GIB = 2**30
# checkpoints of a training; batches of a few workers; handles of workers that share tensors
LEAST_DISK, LEAST_SHARED, LEAST_FILES = 5 * GIB, GIB, 4096
SHARED_MEMORY = Path('/dev/shm')


def machine_findings(folder: Path) -> list[Finding]:
    """Of this machine, for work in `folder`."""
    found = [_memory(), _disk(folder), _shared_memory(SHARED_MEMORY), _file_handles()]
    return [finding for finding in found if finding]


def gpus_by_driver() -> list[str]:
    """Each GPU as its driver lists it, without PyTorch: 'NVIDIA H100 80GB HBM3, 570.86'; none without a driver."""
    command = ['nvidia-smi', '--query-gpu=name,driver_version', '--format=csv,noheader']
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20)
    except (OSError, subprocess.SubprocessError):
        return []
    return [line.strip() for line in done.stdout.splitlines() if line.strip()]


def _memory() -> Finding | None:
    try:
        lines = Path('/proc/meminfo').read_text().splitlines()
    except OSError:
        return None
    kib = {line.partition(':')[0]: int(line.split()[1]) for line in lines if line.endswith('kB')}
    free, total = (kib.get(name, 0) * 1024 / GIB for name in ('MemAvailable', 'MemTotal'))
    return Finding('memory', f'{free:.0f} of {total:.0f} GiB free')


def _disk(folder: Path) -> Finding:
    usage = shutil.disk_usage(folder)
    value = f'{usage.free / GIB:.0f} of {usage.total / GIB:.0f} GiB free in {folder}'
    if usage.free >= LEAST_DISK:
        return Finding('disk', value)
    wrong = f'{usage.free / GIB:.1f} GiB are free in {folder}, of which one training fills some'
    return Finding('disk', value, wrong, 'swin-mmdet train CONFIG --work-dir FOLDER_ON_ANOTHER_DISK', is_broken=False)


def _shared_memory(path: Path) -> Finding | None:
    """Workers hand over their batches through it; containers have 64 MiB of it unless told otherwise."""
    if not path.is_dir():
        return None
    usage = shutil.disk_usage(path)
    value = f'{usage.free / GIB:.1f} of {usage.total / GIB:.1f} GiB free in {path}'
    if usage.free >= LEAST_SHARED:
        return Finding('shared memory', value)
    wrong = f'{usage.free / 2**20:.0f} MiB of shared memory are too few for workers that load images (bus error)'
    return Finding('shared memory', value, wrong, 'docker run --shm-size=8g ..., or train with --workers 0')


def _file_handles() -> Finding | None:
    try:
        import resource
    except ImportError:  # not a Unix
        return None
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft == resource.RLIM_INFINITY or soft >= LEAST_FILES:
        return Finding('open files', 'no limit' if soft == resource.RLIM_INFINITY else f'up to {soft}')
    most = min(hard, 65536) if hard != resource.RLIM_INFINITY else 65536
    wrong = f'a process may open {soft} files, too few for many workers ("Too many open files")'
    return Finding('open files', f'up to {soft}', wrong, f'ulimit -n {most}', is_broken=False)
