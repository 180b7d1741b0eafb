"""Memory that loading Swin-L takes besides the model, for each kind of file, ours beside `torch.load`.

    python tools/benchmarks/checkpoint_memory.py --out tools/benchmarks/results/checkpoint_memory.csv

Each row is a process of its own on Linux. Counted is anonymous memory (RssAnon), the most while loading less that of
the built model: pages of a mapped file are not counted, for the system may drop them at any time.
"""

import argparse
import json
import multiprocessing
import pickle
import platform
import tempfile
import threading
import time
from pathlib import Path

import torch
from harness import write_rows
from safetensors.torch import save_file

from swin_mmdet.checkpoint import load_backbone_weights, to_canonical
from swin_mmdet.checkpoint.convert import convert
from swin_mmdet.models import SwinTransformer

KINDS = ('official .pth', 'mmdet .pth', 'timm .safetensors', 'detectron2 .pkl', 'torch 1.5 .pth')
MIB = 2**20


def write(kind: str, path: Path) -> None:
    """Random weights of Swin-L as one kind of file."""
    model = SwinTransformer(arch='large')
    program = kind.split()[0]
    weights = convert(
        to_canonical(model.state_dict()), program if program in ('mmdet', 'timm') else 'official'
    ).state_dict
    weights = {key: value.clone() for key, value in weights.items()}
    if kind.endswith('safetensors'):
        save_file(weights, path)
    elif kind.endswith('pkl'):
        arrays = {f'backbone.bottom_up.{key}': value.numpy() for key, value in weights.items()}
        path.write_bytes(pickle.dumps({'model': arrays, '__author__': 'x'}, protocol=4))
    else:
        torch.save({'model': weights}, path, _use_new_zipfile_serialization='1.5' not in kind)


def anonymous_memory() -> int:
    """Bytes of this process that no file backs."""
    line = next(line for line in Path('/proc/self/status').read_text().splitlines() if line.startswith('RssAnon'))
    return int(line.split()[1]) * 1024


def measure(path: str, how: str, connection: object) -> None:
    """In a process of its own: build, load, send [peak bytes, seconds]."""
    torch.set_num_threads(2)
    model = SwinTransformer(arch='large')
    before = peak = anonymous_memory()
    done = threading.Event()

    def watch() -> None:
        nonlocal peak
        while not done.wait(0.002):
            peak = max(peak, anonymous_memory())

    watcher = threading.Thread(target=watch)
    watcher.start()
    start = time.perf_counter()
    if how == 'ours':
        load_backbone_weights(model, path)
    else:
        state_dict = torch.load(path, weights_only=True)['model']
        model.load_state_dict(
            {key.replace('layers.', 'stages.'): value for key, value in state_dict.items()}, strict=False
        )
    seconds = time.perf_counter() - start
    done.set()
    watcher.join()
    connection.send([max(peak, anonymous_memory()) - before, seconds])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    args = parser.parse_args()
    rows = []
    spawn = multiprocessing.get_context('spawn')
    with tempfile.TemporaryDirectory() as folder:
        for kind in KINDS:
            path = Path(folder, 'weights' + kind.split()[-1])
            write(kind, path)
            for how in ('ours', 'torch.load') if kind == KINDS[0] else ('ours',):
                receiver, sender = spawn.Pipe(duplex=False)
                process = spawn.Process(target=measure, args=(str(path), how, sender))
                process.start()
                peak, seconds = receiver.recv()
                process.join()
                row = {
                    'file': kind,
                    'loaded with': how,
                    'file, MiB': round(path.stat().st_size / MIB),
                    'peak besides the model, MiB': round(peak / MIB),
                    'seconds': round(seconds, 2),
                    'torch': torch.__version__,
                    'python': platform.python_version(),
                }
                rows.append(row)
                print(json.dumps(row))
            path.unlink()
    if args.out:
        write_rows(args.out, rows)


if __name__ == '__main__':
    main()
