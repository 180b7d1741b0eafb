"""Every config of the zoo through two training steps and an inference on a GPU, at its recipe's own size and batch.

    python tools/benchmarks/zoo_on_gpu.py --out tools/benchmarks/results/zoo_on_gpu-h200.csv
    python tools/benchmarks/zoo_on_gpu.py configs/dino/*.py

Images and objects are made up; pipelines, batch sizes, precision and optimizer are those that `tools/train.py` takes.
Weights are random. A batch that does not fit into the GPU is halved, which the row says. Losses and gradients must be
finite, every parameter that learns must have a gradient. Inference is in float32, as `tools/test.py` does, and under
autocast of both half types. 'ms' is of the second step, kernels of its sizes compiled in part: no measure of speed,
least of all where several configs ran 'at a time'. One that finds no memory beside others waits for them.
A config that takes the process with it (an illegal access of memory does) gets a row that says so.
"""

import argparse
import copy
import gc
import itertools
import multiprocessing
import random
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import BrokenExecutor, ProcessPoolExecutor
from pathlib import Path

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import torch
from harness import conditions, mmcv_in_words, rounded, write_rows
from made_data import make_data, on_made_data, write_language_model
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.logging import MMLogger
from mmengine.optim import OptimWrapper, build_optim_wrapper
from mmengine.runner import Runner, set_random_seed
from torch import nn

CONFIGS = Path(__file__).resolve().parents[2] / 'configs'
# of training, two batches of the largest recipe; its mosaics want others
IMAGES = 72
AUTOCAST = {'infer': None, 'infer fp16': torch.float16, 'infer bf16': torch.bfloat16}
SECONDS = 180.0
# how long a config looks again for the memory that others have
PATIENCE = 90.0
# bytes beside this process's own that its context and a desktop take
ALONE = 4 * 2**30
# words of failures after which a process can do no more
BROKEN = ('CUDA error', 'AcceleratorError', 'process died', 'not done')


def find_configs() -> list[Path]:
    """Of every detector of the zoo."""
    return sorted(path for path in CONFIGS.glob('*/*.py') if path.parent.name != '_base_')


def read_config(path: Path, data: Path) -> Config:
    """A config as train.py would run it on this machine, on the made-up data."""
    from mmengine.device import get_device

    from swin_mmdet.config import nodes
    from swin_mmdet.engine.device import adapt_to_device

    cfg = Config.fromfile(path)
    on_made_data(cfg, data)
    for node in nodes(cfg.model):
        if str(node.get('type')).endswith('BertModel'):
            node['name'] = str(write_language_model(data / 'bert'))
    cfg.launcher = 'none'
    adapt_to_device(cfg, get_device())
    return cfg


class Steps:
    """A config's detector, optimizer and data."""

    def __init__(self, cfg: Config, batch_size: int) -> None:
        set_random_seed(0)
        self.cfg = cfg
        cfg.train_dataloader.batch_size = batch_size
        for node in cfg.train_dataloader, cfg.train_dataloader.get('batch_sampler') or {}:
            if 'batch_size' in node:
                node['batch_size'] = batch_size
        with torch.device('cuda'):
            self.model: nn.Module = MODELS.build(cfg.model)
        self.model.cuda()
        self.model.init_weights()
        self.wrapper: OptimWrapper = build_optim_wrapper(self.model, cfg.optim_wrapper)

    def batches(self, split: str) -> Iterator[dict]:
        """Of the recipe's pipeline, in turns for ever."""
        loader = Runner.build_dataloader(self.cfg[f'{split}_dataloader'], seed=0)
        return itertools.chain.from_iterable(itertools.repeat(loader))

    def train(self) -> dict:
        """What two steps show."""
        batches, problems = self.batches('train'), []
        update = self.wrapper.step

        def checked(**kwargs) -> None:
            learning = {name: one.grad for name, one in self.model.named_parameters() if one.requires_grad}
            missing = [name for name, grad in learning.items() if grad is None]
            broken = [name for name, grad in learning.items() if grad is not None and not grad.isfinite().all()]
            problems.extend(f'no gradient: {name}' for name in missing[:1])
            problems.extend(f'{len(broken)} gradients not finite: {name}' for name in broken[:1])
            update(**kwargs)

        self.wrapper.step = checked
        self.model.train()
        # gradients of a scale that must be found first overflow, which is no mistake
        if hasattr(self.wrapper, 'loss_scaler'):
            self.wrapper.loss_scaler = torch.amp.GradScaler(init_scale=1.0)
        for _ in range(2):
            batch = next(batches)
            with Timed() as took:
                losses = self.model.train_step(batch, self.wrapper)
            problems += [f'{name} is {float(loss)}' for name, loss in losses.items() if not loss.isfinite()]
        return took | {'failed': '; '.join(dict.fromkeys(problems))} | self._size(batch)

    def infer(self, dtype: torch.dtype | None) -> dict:
        """What a second prediction shows."""
        batch, problems = next(self.batches('val')), []
        self.model.eval()
        for _ in range(2):
            with Timed() as took, torch.no_grad(), torch.autocast('cuda', dtype, enabled=dtype is not None):
                samples = self.model.test_step(batch)
        for sample in samples:
            found = sample.get('pred_instances')
            if found is not None and not (found.bboxes.isfinite().all() and found.scores.isfinite().all()):
                problems.append('boxes or scores are not finite')
        return took | {'failed': '; '.join(problems)} | self._size(batch)

    def _size(self, batch: dict) -> dict:
        shape = self.model.data_preprocessor(batch, False)['inputs'].shape
        return {'batch': shape[0], 'height': shape[2], 'width': shape[3]}


class Timed(dict):
    """A block's time and peak memory, as columns."""

    def __enter__(self) -> dict:
        torch.cuda.synchronize()
        torch.cuda.reset_peak_memory_stats()
        self.start = time.perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        torch.cuda.synchronize()
        self['ms'] = 1000 * (time.perf_counter() - self.start)
        self['peak MiB'] = torch.cuda.max_memory_allocated() / 2**20


def run_config(path: Path, data: Path) -> list[dict]:
    """The rows of a config; runs in a process of its own."""
    register_all_modules()
    MMLogger.get_current_instance().setLevel('WARNING')
    cfg = read_config(path, data)
    steps, row = train_largest(cfg)
    rows = [{'mode': 'train'} | row]
    if cfg.optim_wrapper.type == 'OptimWrapper':
        cfg.optim_wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic')
        del steps  # and its memory
        steps, row = train_largest(cfg)
        rows.append({'mode': 'train --amp'} | row)
    for mode, dtype in AUTOCAST.items():
        row = {'mode': mode, 'precision': _name(dtype)}
        try:
            rows.append(row | steps.infer(dtype))
        except Exception as error:
            rows.append(row | {'failed': _in_words(error)})
            if any(word in str(error) for word in BROKEN):
                break
    # others wait for it
    del steps
    _give_back()
    return rows


def train_largest(cfg: Config) -> tuple[Steps, dict]:
    """The detector after two steps with the recipe's batch, or the largest half of it that fits, and the row."""
    wanted = batch_size = cfg.train_dataloader.batch_size or cfg.train_dataloader.batch_sampler.batch_size
    start = time.perf_counter()
    while True:
        _give_back()
        steps, waits = None, False
        try:
            steps = Steps(copy.deepcopy(cfg), batch_size)
            note = '' if batch_size == wanted else f'{wanted} images do not fit'
            row = {'precision': _name(getattr(steps.wrapper, 'cast_dtype', None)), 'note': note}
            return steps, row | steps.train()
        except torch.cuda.OutOfMemoryError as error:
            waits = used_by_others() > ALONE and time.perf_counter() - start < PATIENCE
            if not waits and (batch_size == 1 or steps is None):
                raise MemoryError('out of memory with one image') from error
            batch_size = batch_size if waits else batch_size // 2
        if waits:
            del steps
            _give_back()
            time.sleep(random.SystemRandom().uniform(2, 8))


def _give_back() -> None:
    """The GPU's memory that nothing uses."""
    gc.collect()
    torch.cuda.empty_cache()


def used_by_others() -> int:
    """Bytes of the GPU that this process does not hold."""
    free, total = torch.cuda.mem_get_info()
    return total - free - torch.cuda.memory_reserved()


def _name(dtype: torch.dtype | None) -> str:
    return str(dtype or torch.float32).removeprefix('torch.')


def _in_words(error: BaseException) -> str:
    return f'{type(error).__name__}: {error}'.strip().splitlines()[0][:200]


COLUMNS = (
    'config', 'mode', 'precision', 'batch', 'height', 'width', 'ms', 'at a time', 'peak MiB', 'note', 'failed',
)  # fmt: skip


class Lane:
    """A process that runs configs until one of them breaks it, then another."""

    def __init__(self) -> None:
        self.pool: ProcessPoolExecutor | None = None

    def run(self, path: Path, data: Path) -> list[dict]:
        """The rows of a config, whatever becomes of it."""
        self.pool = self.pool or ProcessPoolExecutor(1, multiprocessing.get_context('spawn'))
        try:
            rows = self.pool.submit(run_config, path, data).result(timeout=SECONDS)
        except BrokenExecutor:
            rows = [{'mode': 'train', 'failed': 'the process died'}]
        except TimeoutError:
            rows = [{'mode': 'train', 'failed': f'not done after {SECONDS:.0f} s'}]
        except Exception as error:
            rows = [{'mode': 'train', 'failed': _in_words(error)}]
        # of a broken process nothing more is to be had, and after an error of CUDA it is broken
        if any(word in row['failed'] for row in rows for word in BROKEN):
            self.end()
        name = f'{path.parent.name}/{path.stem}'
        return [dict.fromkeys(COLUMNS, '') | {'config': name} | row for row in rows]

    def end(self) -> None:
        """No process outlives this."""
        if self.pool:
            for process in list(self.pool._processes.values()):
                process.kill()
            self.pool.shutdown(wait=False, cancel_futures=True)
            self.pool = None


def main(argv: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('configs', nargs='*', type=Path, help='config files (default: every one)')
    parser.add_argument('--out', type=Path, help='CSV file to write (default: only print)')
    parser.add_argument('--jobs', type=int, default=1, help='configs at a time: their times then say nothing')
    parser.add_argument('--beside', type=int, default=0, help='configs that another call runs on this GPU meanwhile')
    parser.add_argument('--commit', help='of the code that runs (default: asks git)')
    args = parser.parse_args(argv)
    where = conditions(args.commit) | {'mmcv': mmcv_in_words()}
    queue, rows, lock = list(args.configs or find_configs()), [], threading.Lock()

    def work() -> None:
        lane = Lane()
        while True:
            with lock:
                if not queue:
                    break
                path = queue.pop(0)
            found = lane.run(path, data)
            with lock:
                found = [row | {'at a time': args.jobs + args.beside} for row in found]
                rows.extend(rounded(row) | where for row in found)
                for row in found:
                    print(*rounded(row).values(), sep=', ', flush=True)
                if args.out:
                    write_rows(args.out, sorted(rows, key=lambda row: row['config']))
        lane.end()

    with tempfile.TemporaryDirectory() as folder:
        data = make_data(Path(folder), IMAGES)
        threads = [threading.Thread(target=work) for _ in range(args.jobs)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    failed = sorted({row['config'] for row in rows if row['failed']})
    print(f'{len({row["config"] for row in rows})} configs, {len(failed)} failed', *failed, sep='\n  ', flush=True)


if __name__ == '__main__':
    main()
