"""The smallest training: its losses depend on every random generator, on the order of images and on their reading."""

import copy
import itertools
import multiprocessing
import os
import random
import socket
import sys
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from unittest.mock import patch

import numpy as np
import torch
import torch.distributed as dist
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, OPTIM_WRAPPERS, TRANSFORMS
from mmengine.runner import Runner
from torch import Tensor, nn

import swin_mmdet.registry  # noqa: F401

SIZE = 24
# seconds: what takes one alone takes a minute where other tests run
PATIENCE = 300
NUMBERS = itertools.count()


@DATASETS.register_module(force=True)
class TinyData(BaseDataset):
    def __init__(self, size: int = SIZE, **options) -> None:
        self.size = size
        super().__init__(serialize_data=False, **options)

    def load_data_list(self) -> list[dict]:
        folder = self.data_prefix.get('img_path', '')
        names = [os.path.join(folder, f'{index}.jpg') for index in range(self.size)]
        return [dict(index=index, img_path=name, height=2, width=3) for index, name in enumerate(names)]


@TRANSFORMS.register_module(force=True)
class Jitter:
    """An image of noise, of all three generators."""

    def __init__(self, seconds: float = 0) -> None:
        self.seconds = seconds

    def __call__(self, results: dict) -> dict:
        time.sleep(self.seconds)
        noise = torch.rand(4) + np.random.rand(4).astype(np.float32) + random.random()
        return dict(inputs=noise + results['index'] / SIZE, data_samples=results['index'])


@MODELS.register_module(force=True)
class TinyModel(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 16)
        self.norm = nn.BatchNorm1d(16)
        self.last = nn.Linear(16, 1)

    def forward(self, inputs: list[Tensor], data_samples: list[int], mode: str = 'tensor') -> dict | list:
        x = torch.stack(inputs).to(self.last.weight)
        x = nn.functional.dropout(self.norm(self.first(x)), 0.3, self.training)
        x = self.last(x).squeeze(1)
        if mode != 'loss':
            return list(x)
        target = torch.tensor(data_samples).to(x) / SIZE + 0.1 * np.random.rand() + 0.1 * random.random()
        return dict(loss=(x - target).square().mean())


@METRICS.register_module(force=True)
class TinyMetric(BaseMetric):
    """Its evaluation draws random numbers."""

    def process(self, _: dict, data_samples: list) -> None:
        torch.rand(3), np.random.rand(3), random.random()
        self.results += [float(one) for one in data_samples]

    def compute_metrics(self, results: list) -> dict:
        return dict(score=float(np.mean(results)))


@OPTIM_WRAPPERS.register_module(force=True)
class AmpOnCpu(AmpOptimWrapper):
    """mmengine's, whose constructor asks for a GPU; its scale grows twice within a run."""

    def __init__(self, **options) -> None:
        OptimWrapper.__init__(self, **options)
        self.loss_scaler = torch.amp.GradScaler('cpu', init_scale=256.0, growth_interval=7)
        self._scale_update_param, self.cast_dtype = None, torch.bfloat16


@HOOKS.register_module(force=True)
class WriteLosses(Hook):
    """Appends every iteration's number and loss to `losses.RANK.txt`, in all digits."""

    def after_train_iter(self, runner: Runner, data_batch: dict, outputs: dict, **_: object) -> None:
        with Path(runner.work_dir, f'losses.{runner.rank}.txt').open('a') as file:
            file.write(f'{runner.iter + 1} {outputs["loss"].item().hex()} {data_batch["data_samples"]}\n')


def config(work_dir: Path, changes: dict | None = None) -> Config:
    data = dict(type='TinyData', pipeline=[dict(type='Jitter')])
    loader = dict(batch_size=2, num_workers=0, sampler=dict(type='DefaultSampler', shuffle=True), dataset=data)
    cfg = Config(dict(
        work_dir=str(work_dir),
        # mmengine gives two runs of one name and second one logger, which writes into the folder of the first
        experiment_name=f'run {next(NUMBERS)}',
        model=dict(type='TinyModel'),
        train_dataloader=loader,
        train_cfg=dict(type='swin_mmdet.IterBasedTrainLoop', max_iters=20, val_interval=1000),
        val_dataloader=dict(loader, sampler=dict(type='DefaultSampler', shuffle=False)),
        val_cfg=dict(type='ValLoop'),
        val_evaluator=dict(type='TinyMetric'),
        optim_wrapper=dict(optimizer=dict(type='AdamW', lr=0.01)),
        param_scheduler=[dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=10)],
        default_hooks=dict(
            runtime_info=dict(type='swin_mmdet.RuntimeInfoHook'),
            checkpoint=dict(type='swin_mmdet.CheckpointHook', by_epoch=False, interval=5),
            logger=dict(type='LoggerHook', interval=1),
        ),
        custom_hooks=[dict(type='WriteLosses')],
        log_processor=dict(by_epoch=False),
        randomness=dict(seed=3),
        default_scope='mmengine',
    ))  # fmt: skip
    # merging empties dicts that replace others
    cfg.merge_from_dict(copy.deepcopy(changes or {}))
    return cfg


def train(work_dir: Path, **changes: object) -> Runner:
    """Train in this process; keys of `changes` may be dotted, with '__' for the dots."""
    runner, threads = build(work_dir, **changes), torch.get_num_threads()
    # sums in the same order here and in processes of their own
    torch.set_num_threads(1)
    try:
        runner.train()
    finally:
        torch.set_num_threads(threads)
    return runner


def build(work_dir: Path, **changes: object) -> Runner:
    """The runner of `train`, without the seconds that it takes to format its config and to ask for compilers."""
    cfg = config(work_dir, {key.replace('__', '.'): value for key, value in changes.items()})
    with (
        patch('mmengine.config.config.FormatCode', lambda text, **_: (text, True)),
        patch('mmengine.runner.runner.collect_env', dict),
    ):
        return Runner.from_cfg(cfg)


def losses(work_dir: Path, rank: int = 0) -> list[str]:
    return Path(work_dir, f'losses.{rank}.txt').read_text().splitlines()


def start(work_dir: Path, processes: int = 1, **changes: object) -> list[BaseProcess]:
    """Train in processes of their own, forks of this one: importing everything again takes longer than the training.

    What they print is in `console.RANK.txt`.
    """
    Path(work_dir).mkdir(parents=True, exist_ok=True)
    port = free_port()
    fork = multiprocessing.get_context('fork')
    rest = processes, port, work_dir, changes
    started = [fork.Process(target=_child, args=(rank, *rest)) for rank in range(processes)]
    for one in started:
        one.start()
    return started


def _child(rank: int, processes: int, port: int, work_dir: Path, changes: dict) -> None:
    with Path(work_dir, f'console.{rank}.txt').open('a') as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    sys.stdout = sys.stderr = open(1, 'w', buffering=1, closefd=False)  # noqa: SIM115
    torch.set_num_threads(1)
    if processes > 1:
        os.environ.update(RANK=str(rank), LOCAL_RANK=str(rank), WORLD_SIZE=str(processes))
        dist.init_process_group('gloo', f'tcp://127.0.0.1:{port}', rank=rank, world_size=processes)
        wrapper = dict(type='MMDistributedDataParallel', device_ids=None)
        changes = changes | dict(launcher='pytorch', model_wrapper_cfg=wrapper)
    train(work_dir, **changes)
    if processes > 1:
        dist.barrier()
        dist.destroy_process_group()


def console(work_dir: Path, rank: int = 0) -> str:
    path = Path(work_dir, f'console.{rank}.txt')
    return path.read_text() if path.exists() else ''


def free_port() -> int:
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def end_of(process: BaseProcess) -> None:
    """Wait for it."""
    process.join(PATIENCE)
    assert process.exitcode is not None, 'it did not end'


def wait_for(condition: Callable[[], object], seconds: float = PATIENCE) -> None:
    """Until it is true; fails if it does not become so."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, 'it did not happen'
        time.sleep(0.01)


def done(work_dir: Path, iterations: int, rank: int = 0) -> bool:
    """Whether so many iterations are behind a run."""
    path = Path(work_dir, f'losses.{rank}.txt')
    return path.exists() and len(path.read_text().splitlines()) >= iterations
