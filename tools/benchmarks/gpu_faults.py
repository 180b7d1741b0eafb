"""Faults that a GPU has, or that look otherwise on one; where there is none a stand-in fails in its place."""

import argparse
import math
import os
import shutil
import signal
import time
from collections.abc import Callable

import torch
from fault_lab import (
    FLOOR,
    INTERVAL,
    NOISE,
    STEPS,
    Lab,
    beyond_noise,
    differences,
    fault,
    finish,
    losses,
    noise,
    said,
    same,
    straight,
    wait_for_step,
)
from mmengine.runner import Runner
from torch import nn

from swin_mmdet.engine.guards import OutOfMemoryHook
from swin_mmdet.engine.guards.out_of_memory_hook import checkpointing
from swin_mmdet.engine.resuming.train_loops import IterBasedTrainLoop

# images whose activations take more than all else, all of one size, and memory that only a step itself takes
LARGE = (
    'train_dataloader.batch_size=8',
    'train_dataloader.dataset.pipeline.2.scales=[(512,512),(512,512)]',
    'model.backbone.cuda_graphs=False',
)
# longer than the others wait
STUCK_SECONDS = 40


@fault
def resumed_from_the_middle(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """On a GPU sums have another order each time: how far are runs from each other that nothing has stopped?"""
    half = STEPS // 2
    source, runs = straight(lab) / f'iter_{half}.pth', [lab.new('resumed') for _ in range(2)]
    for run in runs:
        run.mkdir()
        shutil.copy(source, run)
    code = finish([lab.start(run, '--resume')[0] for run in runs])
    worst = max(value for run in runs for step, value in differences(lab, run).items() if step > half)
    problems = [problem for run in runs if (problem := beyond_noise(lab, run, half + 1))]
    usual = noise(lab)[STEPS]
    return f'largest difference of a loss: {worst:.2g}; between straight runs: {usual:.2g}', not code and not problems


def _resumed(lab: Lab, words: list[str], prepare: Callable[[], None] | None = None) -> tuple[str, float, float]:
    """Of two straight runs and one from the middle: what failed, and how far losses of each pair are at most apart."""
    runs = [lab.new('whole') for _ in range(2)]
    code = finish([lab.start(run, *words, prepare=prepare)[0] for run in runs])
    if code:
        return f'exit {code}: {said(runs[0]).strip().splitlines()[-1][:200]}', math.inf, math.inf
    saved = sorted(runs[0].glob('iter_*.pth'), key=lambda path: int(path.stem[5:]))
    source = saved[len(saved) // 2 - 1]
    late = lab.new('late')
    late.mkdir()
    shutil.copy(source, late)
    code, _text = lab.run(late, '--resume', *words, prepare=prepare)
    one, other, resumed = (losses(run) for run in (*runs, late))
    whole = sorted(resumed) == [step for step in sorted(one) if step > int(source.stem[5:])]
    problem = f'exit {code}, {len(resumed)} steps after {source.stem}' if code or not whole else ''
    return problem, *(max(abs(two[step] / one[step] - 1) for step in two) for two in (other, resumed))


@fault
def resumed_with_averages_and_accumulation(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """And with a scaled loss on a GPU: averaged weights, the scale and the place in a sum are in the checkpoint."""
    on_gpu = torch.cuda.is_available()
    problem, usual, far = _resumed(lab, ['--ema', '--accumulate', '2', *(['--amp', 'fp16'] if on_gpu else [])])
    seen = f'largest difference of a loss: {far:.2g}; between straight runs: {usual:.2g}'
    return problem or seen, not problem and far <= (max(NOISE * usual, FLOOR) if on_gpu else 0)


@fault
def resumed_with_deterministic_algorithms(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    def prepare() -> None:
        os.environ['CUBLAS_WORKSPACE_CONFIG'] = ':4096:8'

    problem, usual, far = _resumed(lab, ['--cfg-options', 'randomness.deterministic=True'], prepare)
    seen = f'largest difference of a loss: {far:.2g}; between straight runs: {usual:.2g}'
    return problem or seen, not problem and usual == far == 0


def _then(function: Callable, change: Callable) -> Callable:
    def both(*args: object, **kwargs: object) -> object:
        result = function(*args, **kwargs)
        change(result)
        return result

    return both


def _peak(do: Callable[[], object]) -> int:
    """Bytes that PyTorch holds at most meanwhile."""
    torch.cuda.empty_cache()
    torch.cuda.reset_peak_memory_stats()
    do()
    torch.cuda.synchronize()
    return torch.cuda.max_memory_reserved()


def _little_memory(share: float) -> None:
    """Steps 2 and 3 are measured, as they are and checkpointed; from step 5 on this share between them is left."""
    real, peaks = IterBasedTrainLoop.run_iter, []

    def run_iter(loop: IterBasedTrainLoop, batch: dict) -> None:
        if loop.iter == 1:
            peaks.append(_peak(lambda: real(loop, batch)))
        elif loop.iter == 2:
            with checkpointing(loop.runner.model):
                peaks.append(_peak(lambda: real(loop, batch)))
        else:
            if loop.iter == 4:
                torch.cuda.empty_cache()
                most, least = peaks
                bytes_left = least + share * (most - least)
                torch.cuda.set_per_process_memory_fraction(
                    bytes_left / torch.cuda.get_device_properties(0).total_memory
                )
            real(loop, batch)

    IterBasedTrainLoop.run_iter = run_iter


def _fails(is_small_enough: Callable[[nn.Module], bool]) -> None:
    """The fifth step of a model fails, as on a full GPU, unless the model is such."""

    def change(model: nn.Module) -> None:
        real, count = model.train_step, []

        def train_step(*args: object, **kwargs: object) -> dict:
            count.append(1)
            if len(count) == 5 and not is_small_enough(model):
                count.pop()
                raise torch.OutOfMemoryError('CUDA out of memory. Tried to allocate 20.00 GiB.')
            return real(*args, **kwargs)

        model.train_step = train_step

    Runner.wrap_model = _then(Runner.wrap_model, change)


def _is_checkpointed(model: nn.Module) -> bool:
    return all(stage.with_cp for stage in model.backbone.stages)


@fault
def out_of_memory(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    on_gpu, work_dir = torch.cuda.is_available(), lab.new('memory')
    words = ('--cfg-options', *LARGE) if on_gpu else ()
    prepare = (lambda: _little_memory(-0.5)) if on_gpu else lambda: _fails(lambda _: False)
    code, text = lab.run(work_dir, *words, prepare=prepare)
    line = next((line for line in text.splitlines() if line.startswith('error: ')), 'a traceback')
    named = f'in iteration 5: a batch of {8 if on_gpu else 2} images of 3x'
    saved = [path.name for path in work_dir.glob('iter_*.pth')]
    return f'exit {code}; {line}; {saved}', code == 2 and named in line and saved == [f'iter_{INTERVAL}.pth']


@fault
def out_of_memory_with_a_second_try(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """`OutOfMemoryHook(retry=True)`."""
    on_gpu, work_dir = torch.cuda.is_available(), lab.new('memory')
    words = ('--cfg-options', *LARGE) if on_gpu else ()

    def prepare() -> None:
        OutOfMemoryHook.__init__.__defaults__ = (True,)
        _little_memory(0.5) if on_gpu else _fails(_is_checkpointed)

    code, text = lab.run(work_dir, *words, prepare=prepare)
    retried = 'The step is tried again with activation checkpointing' in text
    problem = '' if on_gpu else beyond_noise(lab, work_dir)
    seen = f'exit {code}; {len(losses(work_dir))} steps, {"tried again" if retried else "not tried again"}'
    seen += '' if on_gpu else f'; {problem or same()}'
    return seen, not code and retried and not problem and len(losses(work_dir)) == STEPS


def one_of_two_processes_stuck_in_its_gpu(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """A kernel that does not end: its process waits where no signal of Python reaches it."""

    def prepare() -> None:
        if os.environ['RANK'] != '1':
            return
        real = IterBasedTrainLoop.run_iter

        def run_iter(loop: IterBasedTrainLoop, batch: dict) -> None:
            if loop.iter == 6:
                # clocks of less than 2 GHz
                torch.cuda._sleep(int(STUCK_SECONDS * 2e9))
                torch.cuda.synchronize()
            real(loop, batch)

        IterBasedTrainLoop.run_iter = run_iter

    work_dir = lab.new('stuck')
    ids = lab.start(work_dir, processes=2, prepare=prepare)
    wait_for_step(work_dir, 5)
    begin = time.monotonic()
    code = finish(ids[:1])
    seconds = time.monotonic() - begin
    os.kill(ids[1], signal.SIGKILL)
    finish(ids[1:])
    line = next((line for line in said(work_dir).splitlines() if line.startswith('error: process 1')), 'nothing')
    return f'after {seconds:.0f} s exit {code}: {line}', 'is stuck' in line and seconds < 60 and code > 0


if torch.cuda.is_available():
    fault(one_of_two_processes_stuck_in_its_gpu)
