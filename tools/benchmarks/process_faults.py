"""Faults of trainings in several processes: one is lost, all are started anew, or there are fewer or more of them."""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from fault_lab import (
    INTERVAL,
    STEPS,
    Lab,
    beyond_noise,
    fault,
    finish,
    free_port,
    losses,
    said,
    same,
    wait_for_step,
)
from mmdet.datasets import CocoDataset

TOOLS = Path(__file__).resolve().parents[1]


@fault
def started_again_with_other_processes(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """By torchrun with NNODES=MIN:MAX: one of two, and two of one; by hand it is refused."""
    told, right = [], []
    for before, after in ((2, 1), (1, 2)):
        work_dir = lab.new('number')
        ids = lab.start(work_dir, processes=before)
        wait_for_step(work_dir, 5)
        os.kill(ids[0], signal.SIGTERM)
        finish(ids)
        (path,) = work_dir.glob('iter_[5-9].pth')
        refused, text = lab.run(work_dir, '--resume', processes=after)
        named = f'(then {before} processes, now {after})' in text
        code, text = lab.run(work_dir, processes=after, prepare=lambda: os.environ.update(ELASTIC_NODES='1'))
        last, warned = max(losses(work_dir)), text.count(f'{before} processes became {after}')
        told.append(
            f'{before} to {after}: --resume exit {refused}; started again from {path.stem} to step {last}, exit {code}'
        )
        right.append(refused == 2 and named and not code and warned == 1 and last == STEPS)
    return '; '.join(told), all(right)


def _lost(lab: Lab, number: signal.Signals) -> tuple[str, bool]:
    work_dir = lab.new('lost')
    ids = lab.start(work_dir, processes=2)
    wait_for_step(work_dir, 5)
    begin = time.monotonic()
    os.kill(ids[1], number)
    code = finish(ids[:1])
    seconds = time.monotonic() - begin
    os.kill(ids[1], signal.SIGKILL)
    finish(ids[1:])
    lines = said(work_dir).splitlines()
    line = next((line for line in lines if line.startswith('error: process 1')), 'nothing was said')
    told = re.split(r'[;.] [tT]he run ends', line)[0]
    return f'after {seconds:.0f} s exit {code}: {told}', 'process 1' in line and seconds < 60 and code > 0


@fault
def one_of_two_processes_killed(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    return _lost(lab, signal.SIGKILL)


@fault
def one_of_two_processes_frozen(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    return _lost(lab, signal.SIGSTOP)


@fault
def one_of_two_processes_on_other_data(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """A machine whose annotations have an image less."""

    def prepare() -> None:
        if os.environ['RANK'] == '1':
            real = CocoDataset.load_data_list
            CocoDataset.load_data_list = lambda dataset: real(dataset)[1:]

    code, text = lab.run(lab.new('other'), processes=2, prepare=prepare)
    line = next((line for line in text.splitlines() if line.startswith('error: ')), 'it trained on')
    return f'exit {code}: {line}', code == 2 and 'process 1 has other training data than process 0: 31 images' in line


@fault
def one_of_two_processes_killed_under_torchrun(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """With one restart allowed, the run goes on by itself."""
    work_dir = lab.new('elastic')
    command = ['bash', TOOLS / 'dist_train.sh', lab.config, '2', '--data', lab.data, '--work-dir', work_dir]
    environment = _environment(MAX_RESTARTS='1', PORT=str(free_port()))
    with subprocess.Popen(list(map(str, command)), env=environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          text=True) as run:  # fmt: skip
        wait_for_step(work_dir, 5, 600)
        (child,) = _children(run.pid)
        workers = _children(child)
        os.kill(int(workers[1]), signal.SIGKILL)
        seconds = _recovery(child, set(workers), work_dir)
        text = run.communicate(timeout=600)[0]
    # the first process says it for all
    resumed = [line.split(' - ')[-1] for line in text.splitlines() if 'resumed epoch' in line]
    return (
        f'exit {run.returncode}; {", ".join(resumed)}; {max(losses(work_dir))} steps; the next step {seconds:.0f} s '
        'after the kill, without the imports'
    ), run.returncode == 0 and len(resumed) == 1 and max(losses(work_dir)) == STEPS and seconds < 60


@fault
def a_machine_leaves_and_comes_back(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """NNODES=1:2, two launchers in the place of two machines: one is killed with its process, and started again."""
    work_dir, port, number = lab.new('machines'), free_port(), 0
    command = ['bash', TOOLS / 'dist_train.sh', lab.config, '1', '--data', lab.data, '--work-dir', work_dir,
               '--cfg-options', 'train_cfg.max_iters=100000']  # fmt: skip
    environment = _environment(NNODES='1:2', MAX_RESTARTS='3', PORT=str(port))

    def machine() -> subprocess.Popen:
        nonlocal number
        number += 1
        with open(lab.folder / f'{work_dir.name}.{number}.txt', 'w') as file:
            return subprocess.Popen(list(map(str, command)), env=environment, stdout=file, stderr=subprocess.STDOUT)

    def texts() -> str:
        return ''.join(path.read_text() for path in lab.folder.glob(f'{work_dir.name}.*.txt'))

    # the first of them is where they meet
    first = machine()
    time.sleep(5)
    second = machine()
    wait_for_step(work_dir, 6, 600)
    lost_at, begin = max(losses(work_dir)), time.monotonic()
    for id in [*_descendants(second.pid), second.pid]:
        os.kill(int(id), signal.SIGKILL)
    alone = _when(lambda: '2 processes became 1' in texts()) - begin
    wait_for_step(work_dir, lost_at + 6, 600)
    begin = time.monotonic()
    third = machine()
    together = _when(lambda: '1 processes became 2' in texts()) - begin
    begun = re.findall(r'resumed epoch: 0, iter: (\d+)', texts())
    wait_for_step(work_dir, int(begun[-1]) + 4, 600)
    first.terminate()
    codes = [one.wait(120) for one in (first, third)]
    saved = re.findall(r'stopped after iteration (\d+)', texts())
    seen = (
        f'killed at step {lost_at}; after {alone:.0f} s 1 process from step {begun[0]} on; with the other again, '
        f'after {together:.0f} s, 2 processes from step {begun[-1]} on; ended at {max(losses(work_dir))}, exit {codes}'
    )
    # what leaves in order is saved: nothing is lost when one comes
    right = 0 <= lost_at - int(begun[0]) <= INTERVAL + 1 and begun[-1] in saved[:-1] and codes == [0, 0]
    return seen, right


def _environment(**changes: str) -> dict[str, str]:
    """Of a script that calls the first python of the path."""
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    return os.environ | {'OMP_NUM_THREADS': '1', 'PATH': path} | changes


def _descendants(process: int | str) -> list[str]:
    found = _children(process)
    return [*found, *(one for child in found for one in _descendants(child))]


def _when(is_so: Callable[[], object], seconds: float = 300) -> float:
    """The time at which it becomes so."""
    end = time.monotonic() + seconds
    while not is_so():
        if time.monotonic() > end:
            raise TimeoutError('the run does not come back')
        time.sleep(0.05)
    return time.monotonic()


def _children(process: int | str) -> list[str]:
    return Path(f'/proc/{process}/task/{process}/children').read_text().split()


def _recovery(launcher: str, workers: set[str], work_dir: Path) -> float:
    """Seconds from now until there are other workers, and from their log's first line until that of a step."""
    seconds, logs = [], set(work_dir.glob('*/*.log'))
    for is_there in (
        lambda: set(_children(launcher)) - workers,
        lambda: set(work_dir.glob('*/*.log')) - logs,
        lambda: any((log.parent / 'vis_data/scalars.json').exists() for log in set(work_dir.glob('*/*.log')) - logs),
    ):
        begin = time.monotonic()
        seconds.append(_when(is_there) - begin)
    return seconds[0] + seconds[2]


# in the place of Slurm's: runs the program itself, on a CPU, and sends the first one the signal of its time limit
SRUN = """#!/usr/bin/env bash
echo "$@" >> "$FOLDER/called"
while [ "$1" != python ]; do shift; done
words=() skip=
for word in "${@:2}"; do
    if [ "$word" = --launcher ]; then skip=1; elif [ -n "$skip" ]; then skip=; else words+=("$word"); fi
done
"$PYTHON" "${words[@]}" &
if [ "$(wc -l < "$FOLDER/called")" = 1 ]; then
    until grep -qs '"step": 5' "$FOLDER"/run/*/vis_data/scalars.json; do sleep 0.1; done
    kill -USR1 $!
fi
wait $!
"""


@fault
def slurm_s_time_limit(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """slurm_train.sh queues the run again, which goes on."""
    folder = lab.new('slurm')
    (folder / 'bin').mkdir(parents=True)
    (folder / 'bin/srun').write_text(SRUN)
    (folder / 'bin/srun').chmod(0o755)
    changes = dict(FOLDER=str(folder), PYTHON=sys.executable, PATH=f'{folder}/bin:{os.environ["PATH"]}')
    environment = {name: value for name, value in os.environ.items() if not name.startswith('SLURM')} | changes
    command = ['bash', TOOLS / 'slurm_train.sh', 'gpu', 'job', lab.config, folder / 'run', '--data', lab.data]
    done = subprocess.run(list(map(str, command)), env=environment, capture_output=True, text=True, check=False)
    calls = (folder / 'called').read_text().splitlines()
    asked = ['--resume' in call for call in calls]
    problem = beyond_noise(lab, folder / 'run')
    seen = f'{len(calls)} calls of srun, {sum(asked)} with --resume; exit {done.returncode}; {problem or same()}'
    return seen, asked == [False, True] and not done.returncode and not problem and '--signal=USR1@120' in calls[0]
