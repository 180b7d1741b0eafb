"""What a long training leaves behind: host and GPU memory, open files, threads, remembered results, step by step.

    python tools/benchmarks/soak.py FOLDER --steps 5000            a small detector on a CPU
    python tools/benchmarks/soak.py FOLDER --minutes 30 --config configs/swin/...  any config on a GPU, on made-up data

Images come in many sizes, as every cache by size would grow with them. After the first half a line is fitted to each
quantity; one whose slope passes its bound fails, with exit code 1. FOLDER gets the data and the work-dir.
"""

import argparse
import ctypes
import gc
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import numpy as np
import torch
from harness import conditions, write_rows
from made_data import make_data
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.hooks import Hook
from mmengine.runner import Runner

from swin_mmdet.commands.run import run_cli
from swin_mmdet.datasets.data_folder import use_folder
from swin_mmdet.engine.device import adapt_to_device
from swin_mmdet.errors import UserError
from swin_mmdet.models.step_recorder import Recording
from swin_mmdet.recording.recorded_prediction import PredictionRecording
from swin_mmdet.recording.training_step import StepRecording

TOOLS = Path(__file__).resolve().parents[1]
CONFIG = TOOLS.parent / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'
MIB = 2**20
RECORDINGS = Recording, StepRecording, PredictionRecording
# images of a GPU's data, and steps between two checkpoints
MADE, SAVED = 200, 250
# looks to which a line is fitted
FEWEST = 20
# growth in 1,000 steps that is none: of the fit's own noise, in MiB or in numbers
BOUNDS = {
    'host MiB': 20, 'GPU MiB': 20, 'open files': 1, 'threads': 1, 'objects': 500, 'cached results': 20, 'recordings': 1,
}  # fmt: skip
SIZES = [(side, side) for side in range(64, 161, 16)]
# of a model whose 5,000 steps a CPU takes in minutes
SMALL = {
    'model.backbone.embed_dims': 16,
    'model.backbone.num_heads': (1, 2, 4, 8),
    'model.neck.in_channels': [16, 32, 64, 128],
    'model.train_cfg.rpn_proposal': dict(nms_pre=100, max_per_img=50),
    'model.train_cfg.rcnn.sampler.num': 32,
}


class Measure(Hook):
    """Notes every quantity each so many steps, and ends a run whose time is over."""

    priority = 'LOWEST'

    def __init__(self, every: int, minutes: float) -> None:
        self.every, self.end = every, time.monotonic() + 60 * minutes
        self.rows: list[dict[str, float]] = []

    def after_train_iter(self, runner: Runner, *_, **__) -> None:
        if (runner.iter + 1) % self.every == 0:
            self.rows.append({'step': runner.iter + 1, **quantities()})
            print(json.dumps(self.rows[-1]), flush=True)
        if time.monotonic() > self.end:
            runner.train_loop.stop_training = True


def quantities() -> dict[str, float]:
    """What is in use, without what only waits to be given back."""
    gc.collect()
    if trim := getattr(ctypes.CDLL(None), 'malloc_trim', None):
        trim(0)
    objects = gc.get_objects()
    pages = int(Path('/proc/self/statm').read_text().split()[1])
    return {
        'host MiB': pages * os.sysconf('SC_PAGE_SIZE') / MIB,
        'GPU MiB': torch.cuda.memory_allocated() / MIB if torch.cuda.is_available() else 0,
        'open files': len(os.listdir('/proc/self/fd')),
        'threads': threading.active_count(),
        # of Python, but for numbers and texts
        'objects': len(objects),
        'cached results': sum(cache.cache_info().currsize for cache in caches()),
        'recordings': sum(type(one) in RECORDINGS for one in objects),
    }


def caches() -> list[Callable]:
    """Functions of this package that remember results."""
    modules = [module for name, module in list(sys.modules.items()) if name.startswith('swin_mmdet')]
    values = {id(value): value for module in modules for value in vars(module).values() if callable(value)}.values()
    return [value for value in values if callable(getattr(value, 'cache_info', None))]


def slopes(rows: list[dict[str, float]]) -> dict[str, float]:
    """Growth in 1,000 steps of each quantity, after the first half of the rows."""
    kept = rows[len(rows) // 2 :]
    steps = np.array([row['step'] for row in kept], dtype=float)
    return {name: 1000 * np.polyfit(steps, [row[name] for row in kept], 1)[0] for name in BOUNDS}


def soak_config(args: argparse.Namespace) -> Config:
    cfg = Config.fromfile(args.config)
    if args.config == CONFIG:
        cfg.merge_from_dict(SMALL)
        data = args.folder / 'shapes'
        if not data.exists():
            command = [sys.executable, TOOLS / 'make_shapes_dataset.py', data, '--train', '64', '--val', '8']
            subprocess.run(command, check=True)
        for name in ('train_dataloader', 'val_dataloader', 'test_dataloader'):
            cfg[name].dataset.data_root = f'{data}/'
        cfg.train_dataloader.batch_size = 2
        for step in cfg.train_dataloader.dataset.pipeline:
            if step.type == 'Resize':
                step.update(type='RandomChoiceResize', scales=SIZES, keep_ratio=True)
                step.pop('scale')
    else:
        use_folder(cfg, str(make_data(args.folder / 'made', MADE)))
        # nothing is downloaded
        cfg.model.backbone.init_cfg = cfg.load_from = None
        cfg.log_processor = dict(by_epoch=False)
    cfg.train_dataloader.num_workers = args.workers
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=args.steps, val_interval=10**9)
    for name in ('val_cfg', 'val_dataloader', 'val_evaluator'):
        cfg[name] = None
    cfg.param_scheduler, cfg.launcher = [], 'none'
    adapt_to_device(cfg, get_device())
    cfg.work_dir = str(args.folder / f'soak-{time.strftime("%Y%m%d-%H%M%S")}')
    cfg.default_hooks.logger.interval = 500
    cfg.default_hooks.checkpoint.update(by_epoch=False, interval=SAVED, max_keep_ckpts=2, save_best=None)
    return cfg


def main(argv: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', type=Path)
    parser.add_argument('--config', type=Path, default=CONFIG)
    parser.add_argument('--steps', type=int, default=5000)
    parser.add_argument('--minutes', type=float, default=24 * 60)
    parser.add_argument('--workers', type=int, default=2, help='of the loader')
    parser.add_argument('--every', type=int, default=50, help='steps between two looks')
    parser.add_argument('--out', type=Path, help='CSV of the growth')
    parser.add_argument('--looks', type=Path, help='CSV of all looks')
    args = parser.parse_args(argv)
    from swin_mmdet.engine.runner import TrainingRunner

    runner, measure = TrainingRunner.from_cfg(soak_config(args)), Measure(args.every, args.minutes)
    runner.register_hook(measure)
    runner.train()
    found = report(measure.rows)
    if args.out:
        here = conditions(device=get_device())
        write_rows(args.out, [{'config': args.config.stem, **row, **here} for row in found])
    if args.looks:
        write_rows(args.looks, measure.rows)
    return int(any(row['grows'] for row in found))


def report(rows: list[dict[str, float]]) -> list[dict]:
    """The growth of each quantity beside its bound, printed as well.

    Raises:
        UserError: the run was too short to tell.
    """
    if len(rows) < FEWEST:
        raise UserError(f'{len(rows)} looks at {rows[-1]["step"] if rows else "too few"} steps: a line wants {FEWEST}')
    found = []
    for name, slope in slopes(rows).items():
        first, last = rows[0][name], rows[-1][name]
        found.append(dict(quantity=name, steps=rows[-1]['step'], first=f'{first:.6g}', last=f'{last:.6g}',
                          growth=f'{slope:.3g}', bound=BOUNDS[name], grows=slope > BOUNDS[name]))  # fmt: skip
        word = 'GROWS' if found[-1]['grows'] else 'ok'
        print(f'{name}: {first:.6g} -> {last:.6g}, {slope:+.3g} in 1,000 steps (bound {BOUNDS[name]}): {word}')
    return found


if __name__ == '__main__':
    run_cli(main)
