"""A small training in processes that are forks of this one, for faults that are made while it runs."""

import os

# a GPU that this process had asked for would be none to its forks
os.environ.setdefault('PYTORCH_NVML_BASED_CUDA_CHECK', '1')

# isort: split
import json
import math
import socket
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

import swin_mmdet.compat

# isort: split
import mmdet.models  # noqa: F401  imported once, for all forks
import torch

import swin_mmdet.engine.runner  # noqa: F401
from swin_mmdet.commands import make_shapes_dataset, train
from swin_mmdet.commands.run import run_cli

QUICKSTART = Path(__file__).resolve().parents[2] / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'
STEPS, INTERVAL = 16, 4
CONFIG = """
_base_ = {base!r}

model = dict(
    backbone=dict(embed_dims=16, depths=(1, 2, 1, 1), num_heads=(1, 2, 4, 8), drop_path_rate=0.3),
    neck=dict(in_channels=[16, 32, 64, 128]),
    train_cfg=dict(rpn_proposal=dict(nms_pre=100, max_per_img=50), rcnn=dict(sampler=dict(num=32))),
    test_cfg=dict(rpn=dict(nms_pre=100, max_per_img=50), rcnn=dict(score_thr=0.0, max_per_img=5)),
)
pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
    dict(type='RandomChoiceResize', scales=[(64, 64), (80, 80), (96, 96)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(batch_size=2, num_workers=2, dataset=dict(pipeline=pipeline))
train_cfg = dict(max_iters={steps}, val_interval=1000)
param_scheduler = []
default_hooks = dict(
    checkpoint=dict(interval={interval}, save_best=None, max_keep_ckpts=3), logger=dict(interval=1)
)
custom_hooks = [
    dict(type='swin_mmdet.LostProcessHook', timeout=15, beat=1),
    dict(type='swin_mmdet.BrokenImagesHook', most=0.2),
]
randomness = dict(seed=0)
"""


# of a GPU, whose sums have another order each time: so many straight runs, so much more than they differ by
RUNS, NOISE, FLOOR = 4, 2.0, 1e-5
FAULTS: dict[str, Callable] = {}


def fault(function: Callable) -> Callable:
    FAULTS[function.__name__] = function
    return function


class Lab:
    """Trainings of one config on one set of images, each in a folder of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.data = self.make_data('shapes')
        self.config = folder / 'small.py'
        self.config.write_text(CONFIG.format(base=str(QUICKSTART), steps=STEPS, interval=INTERVAL))

    def make_data(self, name: str) -> Path:
        """A new set of 32 drawn images."""
        path = self.folder / name
        if not path.exists():
            make_shapes_dataset.main([str(path), '--train', '32', '--val', '4', '--size', '96'])
        return path

    def new(self, name: str) -> Path:
        """A work-dir that is not there yet."""
        return self.folder / f'{name}-{time.monotonic_ns()}'

    def start(
        self, work_dir: Path, *words: object, processes: int = 1, prepare: Callable[[], None] | None = None,
        data: Path | None = None,
    ) -> list[int]:  # fmt: skip
        """Start train.py with these words; the processes' ids. `prepare` is called in each before."""
        work_dir.parent.mkdir(parents=True, exist_ok=True)
        port, ids = free_port(), []
        for rank in range(processes):
            arguments = [self.config, '--data', data or self.data, '--work-dir', work_dir, *words]
            if id := os.fork():
                ids.append(id)
                continue
            try:
                self._child(rank, processes, port, work_dir, arguments, prepare)
            finally:
                # never back into the program of the parent
                os._exit(99)
        return ids

    def _child(
        self, rank: int, processes: int, port: int, work_dir: Path, words: list, prepare: Callable | None
    ) -> None:
        file = open(said_path(work_dir, rank), 'a', buffering=1)  # noqa: SIM115
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
        sys.stdout = sys.stderr = file
        torch.set_num_threads(1)
        if processes > 1:
            gpus = max(torch.cuda.device_count(), 1) if torch.cuda.is_available() else processes
            os.environ.update(
                RANK=str(rank), LOCAL_RANK=str(rank % gpus), WORLD_SIZE=str(processes),
                MASTER_ADDR='127.0.0.1', MASTER_PORT=str(port),
            )  # fmt: skip
            words = [*words, '--launcher', 'pytorch']
            if gpus < processes:
                # NCCL wants a GPU for each
                words += ['--cfg-options', 'env_cfg.dist_cfg.backend=gloo']
        try:
            if prepare:
                prepare()
            run_cli(lambda: train.main([str(word) for word in words]))
        except SystemExit as exit:
            file.flush()
            os._exit(exit.code if isinstance(exit.code, int) else int(exit.code is not None))
        except BaseException:
            traceback.print_exc()
            os._exit(1)

    def run(self, work_dir: Path, *words: object, **options: object) -> tuple[int, str]:
        """Exit code of the first process, and what it said."""
        return finish(self.start(work_dir, *words, **options)), said(work_dir)


def finish(ids: list[int], seconds: float = 600) -> int:
    """Wait for all; the exit code of the first, negative for a signal."""
    codes, end = {}, time.monotonic() + seconds
    while len(codes) < len(ids):
        for id in set(ids) - codes.keys():
            done, status = os.waitpid(id, os.WNOHANG)
            if done:
                codes[id] = os.waitstatus_to_exitcode(status)
        if time.monotonic() > end:
            raise TimeoutError(f'processes {set(ids) - codes.keys()} do not end')
        time.sleep(0.02)
    return codes[ids[0]]


def said_path(work_dir: Path, rank: int = 0) -> Path:
    return work_dir.parent / f'{work_dir.name}.{rank}.txt'


def said(work_dir: Path, rank: int = 0) -> str:
    path = said_path(work_dir, rank)
    return path.read_text() if path.exists() else ''


def losses(work_dir: Path) -> dict[int, float]:
    """Iteration -> loss of all parts of a run, in all digits of its log."""
    found = {}
    for path in sorted(work_dir.glob('*/vis_data/scalars.json')):
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        found |= {row['step']: row['loss'] for row in rows if 'loss' in row}
    return found


def wait_for_step(work_dir: Path, step: int, seconds: float = 300) -> None:
    end = time.monotonic() + seconds
    while max(losses(work_dir), default=0) < step:
        if time.monotonic() > end:
            raise TimeoutError(f'{work_dir} did not come to step {step}: {said(work_dir)[-1000:]}')
        time.sleep(0.02)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(('127.0.0.1', 0))
        return one.getsockname()[1]


def straight(lab: Lab) -> Path:
    """An uninterrupted run, made once; on a GPU with some more at the same time, see `noise`."""
    runs = [lab.folder / f'straight-{number}' for number in range(RUNS if torch.cuda.is_available() else 1)]
    if not (runs[0] / f'iter_{STEPS}.pth').exists():
        ids = [lab.start(run)[0] for run in runs]
        code = finish(ids)
        assert code == 0, said(runs[0])[-2000:]
    return runs[0]


def noise(lab: Lab) -> dict[int, float]:
    """Step -> the largest difference of two straight runs up to there, in shares of the loss."""
    straight(lab)
    runs = [losses(run) for run in sorted(lab.folder.glob('straight-[0-9]'))]
    largest, found = 0.0, {}
    for step in runs[0]:
        values = [run[step] for run in runs]
        largest = max(largest, (max(values) - min(values)) / abs(values[0]))
        found[step] = largest
    return found


def differences(lab: Lab, work_dir: Path) -> dict[int, float]:
    """Step -> how far its loss is from the uninterrupted run's, as a share of it; infinite where there is none."""
    found = losses(work_dir)
    return {step: abs(found.get(step, math.inf) - loss) / abs(loss) for step, loss in losses(straight(lab)).items()}


def beyond_noise(lab: Lab, work_dir: Path, first: int = 1) -> str:
    """'' if every loss from a step on is that of the uninterrupted run, on a GPU within its noise, or what is not."""
    usual, found = noise(lab), differences(lab, work_dir)
    floor = FLOOR if torch.cuda.is_available() else 0.0
    far = [step for step in found if step >= first and found[step] > max(NOISE * usual[step], floor)]
    return f'{len(far)} of {len(found)} losses differ, from step {far[0]} on' if far else ''


def goes_on(lab: Lab, work_dir: Path, *words: object) -> str:
    """Resume to the end; '' if every loss is that of the uninterrupted run, or else what is not."""
    code, text = lab.run(work_dir, '--resume', *words)
    return f'resuming ended with {code}: {text[-300:]}' if code else beyond_noise(lab, work_dir)


def same() -> str:
    """What `goes_on` has found if it has found nothing."""
    return 'every loss within the noise of straight runs' if torch.cuda.is_available() else 'every loss the same'
