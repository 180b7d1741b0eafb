"""Faults of trainings in several processes: one is lost, all are started anew, or there are fewer or more of them."""

import argparse
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

from fault_lab import STEPS, Lab, beyond_noise, fault, finish, losses, said, same, wait_for_step

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
def one_of_two_processes_killed_under_torchrun(lab: Lab, _: argparse.Namespace) -> tuple[str, bool]:
    """With one restart allowed, the run goes on by itself."""
    work_dir = lab.new('elastic')
    command = ['bash', TOOLS / 'dist_train.sh', lab.config, '2', '--data', lab.data, '--work-dir', work_dir]
    # the script calls the first python of the path
    path = f'{Path(sys.executable).parent}:{os.environ["PATH"]}'
    environment = os.environ | {'MAX_RESTARTS': '1', 'PORT': '29655', 'OMP_NUM_THREADS': '1', 'PATH': path}
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
        while not is_there():
            if time.monotonic() > begin + 300:
                raise TimeoutError('the run does not come back')
            time.sleep(0.05)
        seconds.append(time.monotonic() - begin)
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
