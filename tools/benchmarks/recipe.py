"""Seconds of an iteration of a published recipe on real images, through `tools/train.py`'s own runner.

    python tools/benchmarks/recipe.py --data FOLDER --peer ours --out recipe.csv
    python tools/benchmarks/recipe.py --data FOLDER --peer mmdet --out recipe.csv
    python tools/benchmarks/recipe.py --draw recipe.csv

One peer in one process, appended to the file: a row for each iteration with its size, whether the process has met this
size before, and the seconds from the iteration before, of which those that it waited for data. Nothing waits for the
GPU between; before iterations --from and after --to it is waited for, and the mean over them is that of the summary.
FOLDER has COCO's layout. `mmdet` is the same recipe with mmdet's model, transforms and optimizer settings.
"""

import argparse
import csv
import tempfile
import time
from pathlib import Path

import torch
from harness import conditions, write_rows
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.profiler import ProfilerActivity, profile
from whole_detectors import to_mmdet

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.config import nodes
from swin_mmdet.registry import HOOKS

CONFIG = Path(__file__).resolve().parents[2] / 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_3x_coco.py'
PEERS = 'ours', 'ours without recordings', 'mmdet'
PROFILED = 12


@HOOKS.register_module()
class IterationTimes(Hook):
    """Keeps a row of each iteration of a run; of the last ones how long the GPU was busy."""

    priority = 'LOWEST'
    rows: list[dict]
    busy: float | None

    def __init__(self, first: int, last: int) -> None:
        self.first, self.last = first, last
        IterationTimes.rows, IterationTimes.busy = [], None
        self._end = self._begin = 0.0
        self._sizes: set[tuple[int, ...]] = set()
        self._profiler: profile | None = None

    def before_train_iter(self, runner: Runner, batch_idx: int, data_batch: dict | None = None) -> None:
        del batch_idx, data_batch
        if runner.iter in (self.first, self.last) and torch.cuda.is_available():
            torch.cuda.synchronize()
        if runner.iter == self.last and torch.cuda.is_available():
            self._profiler = profile(activities=[ProfilerActivity.CUDA])
            self._profiler.start()
            self._profile_begin = time.perf_counter()
        self._begin = time.perf_counter()

    def after_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        del batch_idx, outputs
        images = (data_batch or {})['inputs']
        size = tuple(32 * -(-max(image.shape[axis] for image in images) // 32) for axis in (1, 2))
        if runner.iter + 1 == self.last and torch.cuda.is_available():
            torch.cuda.synchronize()
        now = time.perf_counter()
        self.rows.append({
            'iteration': runner.iter, 'height': size[0], 'width': size[1], 'new size': size not in self._sizes,
            'seconds': now - (self._end or self._begin), 'data seconds': self._begin - (self._end or self._begin),
        })  # fmt: skip
        self._sizes.add(size)
        self._end = now
        if self._profiler is not None and runner.iter + 1 == self.last + PROFILED:
            torch.cuda.synchronize()
            wall = time.perf_counter() - self._profile_begin
            self._profiler.stop()
            spans = sorted(
                (event.time_range.start, event.time_range.end)
                for event in self._profiler.events() or ()
                if event.device_type == torch.autograd.DeviceType.CUDA
            )
            IterationTimes.busy = united(spans) / 1e6 / wall
            self._profiler = None


def united(spans: list[tuple[float, float]]) -> float:
    """The length of what sorted spans cover together."""
    covered, end = 0.0, float('-inf')
    for start, stop in spans:
        covered += max(0.0, stop - max(start, end))
        end = max(end, stop)
    return covered


def recipe(peer: str, config: Path, first: int, last: int) -> Config:
    """The config of a peer with the hook that times it."""
    cfg = Config.fromfile(config)
    if peer == 'mmdet':
        to_mmdet(cfg.model, with_backbone=True)
        for node in nodes([cfg.train_dataloader, cfg.val_dataloader, cfg.test_dataloader, cfg.default_hooks]):
            if isinstance(node.get('type'), str):
                node['type'] = node['type'].removeprefix('swin_mmdet.')
        cfg.optim_wrapper.pop('constructor', None)
    elif peer == 'ours without recordings':
        cfg.custom_hooks.append(dict(type='swin_mmdet.RecordStepsHook', max_kinds=0))
    # weights are downloaded, and of no matter here
    cfg.model.backbone.init_cfg = None
    cfg.custom_hooks.append(dict(type='swin_mmdet.IterationTimes', first=first, last=last))
    return cfg


def run(args: argparse.Namespace) -> list[dict]:
    """The rows of one peer."""
    from swin_mmdet.commands.train import main as train

    cfg = recipe(args.peer, args.config, args.first, args.last)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, 'recipe.py')
        cfg.dump(file)
        profiled = PROFILED if torch.cuda.is_available() else 0
        train([
            str(file), '--data', str(args.data), '--batch-size', str(args.batch_size), '--workers', str(args.workers),
            '--iters', str(args.last + profiled), '--work-dir', str(Path(folder, 'run')), '--no-report',
            *(['--amp'] if profiled else []), *args.train_options,
            # neither evaluated nor saved in between
            '--cfg-options', f'train_cfg.val_interval={10 * args.last}',
            f'default_hooks.checkpoint.interval={10 * args.last}',
        ])  # fmt: skip
    where = {'peer': args.peer, 'config': args.config.stem, 'batch': args.batch_size}
    memory = torch.cuda.max_memory_allocated() / 2**20 if torch.cuda.is_available() else 0
    measured = {'GPU busy': IterationTimes.busy, 'peak MiB': memory}
    measured |= conditions(args.commit, 'cuda' if memory else 'cpu')
    return [where | row | measured for row in IterationTimes.rows]


def read(path: Path) -> list[dict]:
    """Rows that were written before."""
    if not path.exists():
        return []
    with path.open() as file:
        return list(csv.DictReader(file))


def summary(rows: list[dict], first: int, last: int) -> list[dict]:
    """Of each peer and batch the mean over iterations from `first` to `last`, and its ratio to mmdet's."""
    runs: dict[tuple, list[dict]] = {}
    for row in rows:
        runs.setdefault((row['config'], row['batch'], row['peer']), []).append(row)
    means = {
        key: [float(row['seconds']) for row in run if first <= int(row['iteration']) < last]
        for key, run in runs.items()
    }
    found = []
    for (config, batch, peer), seconds in means.items():
        mean = sum(seconds) / max(1, len(seconds))
        theirs = means.get((config, batch, 'mmdet'))
        last_row = runs[config, batch, peer][-1]
        found.append({
            'config': config, 'batch': batch, 'peer': peer, 'iterations': len(seconds), 's an iteration': mean,
            'images/s': int(batch) / mean if mean else 0.0,
            'to mmdet': mean * len(theirs) / sum(theirs) if theirs else None,
            'GPU busy': last_row['GPU busy'], 'peak MiB': last_row['peak MiB'],
        })  # fmt: skip
    return found


def draw(rows: list[dict], path: Path) -> None:
    """Seconds of an iteration over time, new sizes marked, beside the file of the rows."""
    import matplotlib.pyplot as plt

    runs: dict[tuple, list[dict]] = {}
    for row in rows:
        runs.setdefault((row['peer'], row['batch']), []).append(row)
    batches = sorted({int(batch) for _, batch in runs})
    figure, axes = plt.subplots(1, len(batches), figsize=(6 * len(batches), 3.5), squeeze=False)
    for axis, batch in zip(axes[0], batches, strict=True):
        for (peer, of), run in runs.items():
            if int(of) == batch:
                x, y = [int(row['iteration']) for row in run], [float(row['seconds']) for row in run]
                line = axis.plot(x, y, label=peer, linewidth=0.7)[0]
                new = [index for index, row in enumerate(run) if row['new size'] == 'True']
                axis.plot([x[i] for i in new], [y[i] for i in new], '.', markersize=3, color=line.get_color())
        axis.set(title=f'{batch} images', xlabel='iteration (dots: a new size)', ylabel='s', yscale='log')
        axis.legend()
    figure.tight_layout()
    figure.savefig(path.with_suffix('.png'), dpi=110)


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--data', type=Path, help='folder of real images in a layout of COCO')
    parser.add_argument('--peer', choices=PEERS, default='ours')
    parser.add_argument('--config', type=Path, default=CONFIG)
    parser.add_argument('--batch-size', type=int, default=2)
    parser.add_argument('--workers', type=int, default=8)
    parser.add_argument('--from', dest='first', type=int, default=100, help='the first iteration of the mean')
    parser.add_argument('--to', dest='last', type=int, default=400, help='the iteration after the last of the mean')
    parser.add_argument('--out', type=Path, help='CSV file to append to')
    parser.add_argument('--draw', type=Path, metavar='CSV', help='only summarise and draw this file')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    parser.add_argument('--train-options', nargs=argparse.REMAINDER, default=[], help='more for tools/train.py, last')
    args = parser.parse_args(argv)
    if args.draw:
        rows = read(args.draw)
        draw(rows, args.draw)
    else:
        own = run(args)
        rows = [*(read(args.out) if args.out else []), *({key: str(x) for key, x in row.items()} for row in own)]
        if args.out:
            write_rows(args.out, rows)
    for row in summary(rows, args.first, args.last):
        print(row)


if __name__ == '__main__':
    main()
