"""slurm_train.sh and dist_train.sh, with stand-ins for srun, scontrol and torchrun."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from swin_mmdet.commands.launcher import restarted

TOOLS = Path(__file__).resolve().parents[2] / 'tools'
# notes its words and ends as the next line of `codes` says
SRUN = """#!/usr/bin/env bash
echo "$@" >> "$FOLDER/srun"
code="$(sed -n "$(wc -l < "$FOLDER/srun")p" "$FOLDER/codes")"
exit "$code"
"""
SCONTROL = """#!/usr/bin/env bash
echo "$@" >> "$FOLDER/scontrol"
"""
# a torchrun with a process that saves for a second when it is told to stop
PYTHON = """#!/usr/bin/env bash
echo "$ELASTIC_NODES" > "$FOLDER/elastic"
echo "$@" > "$FOLDER/torchrun"
bash -c 'trap "sleep 1; echo saved > $FOLDER/saved; exit 0" TERM INT USR1; echo $$ > $FOLDER/child; while true; do sleep 0.05; done' &
trap 'exit 9' TERM INT
wait $!
"""  # noqa: E501


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """With the stand-ins first in the path."""
    folder = tmp_path / 'bin'
    folder.mkdir()
    for name, text in (('srun', SRUN), ('scontrol', SCONTROL), ('python', PYTHON)):
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    kept = {name: value for name, value in os.environ.items() if not name.startswith('SLURM')}
    return kept | {'PATH': f'{folder}:{os.environ["PATH"]}', 'FOLDER': str(tmp_path)}


def slurm_train(environment: dict[str, str], codes: list[int], *words: str, **variables: str) -> int:
    Path(environment['FOLDER'], 'codes').write_text('\n'.join(map(str, codes)) + '\n')
    command = ['bash', str(TOOLS / 'slurm_train.sh'), 'gpu', 'job', 'config.py', 'work dir', *words]
    return subprocess.run(command, env=environment | variables, timeout=30, check=False).returncode


def calls(tmp_path: Path, name: str) -> list[str]:
    path = tmp_path / name
    return path.read_text().splitlines() if path.exists() else []


def test_slurm_is_asked_for_a_signal_before_the_time_limit(environment: dict[str, str], tmp_path: Path):
    assert slurm_train(environment, [0], '--amp', STOP_BEFORE='300', SRUN_ARGS='--time=1:00:00') == 0
    (line,) = calls(tmp_path, 'srun')
    assert '--signal=USR1@300 --time=1:00:00 python -u' in line
    assert line.endswith('train.py config.py --work-dir work dir --launcher slurm --exit-with-signal --amp')


def test_a_run_that_was_stopped_is_queued_again_and_goes_on(environment: dict[str, str], tmp_path: Path):
    assert slurm_train(environment, [138, 138, 0], '--amp') == 0
    assert [line.count('--resume') for line in calls(tmp_path, 'srun')] == [0, 1, 2]
    assert calls(tmp_path, 'scontrol') == []


def test_inside_of_a_batch_job_that_job_is_queued_again(environment: dict[str, str], tmp_path: Path):
    assert slurm_train(environment, [138, 0], SLURM_JOB_ID='77') == 0
    assert len(calls(tmp_path, 'srun')) == 1
    assert calls(tmp_path, 'scontrol') == ['requeue 77']


@pytest.mark.parametrize('name', ['SLURM_RESTART_COUNT', 'TORCHELASTIC_RESTART_COUNT', 'ELASTIC_NODES'])
def test_a_command_that_was_queued_or_started_again_is_known(name: str, monkeypatch: pytest.MonkeyPatch):
    """train.py then resumes without being asked."""
    for one in ('SLURM_RESTART_COUNT', 'TORCHELASTIC_RESTART_COUNT', 'ELASTIC_NODES'):
        monkeypatch.delenv(one, raising=False)
    assert not restarted()
    monkeypatch.setenv(name, '0')
    assert not restarted()
    monkeypatch.setenv(name, '1')
    assert restarted()


@pytest.mark.parametrize('code', [1, 2, 137, 143])
def test_any_other_end_is_the_end(code: int, environment: dict[str, str], tmp_path: Path):
    assert slurm_train(environment, [code, 0]) == code
    assert len(calls(tmp_path, 'srun')) == 1


@pytest.mark.parametrize('number', [signal.SIGTERM, signal.SIGUSR1], ids=lambda one: one.name)
def test_a_signal_to_dist_train_reaches_the_processes_alone(
    number: signal.Signals, environment: dict[str, str], tmp_path: Path
):
    """torchrun itself would end with an error; its processes save and end with 0."""
    run = subprocess.Popen(['bash', str(TOOLS / 'dist_train.sh'), 'config.py', '2'], env=environment)
    end = time.monotonic() + 20
    while not (tmp_path / 'child').exists() and time.monotonic() < end:
        time.sleep(0.02)
    run.send_signal(number)
    assert run.wait(20) == 0
    assert calls(tmp_path, 'saved') == ['saved']


@pytest.mark.parametrize(('nodes', 'restarts', 'words'), [
    ('1', '0', '--nnodes=1 --node_rank=0 --master_addr=127.0.0.1 --master_port=29500 --max-restarts=0'),
    # each attempt with a store of its own
    ('1', '3', '--nnodes=1 --rdzv-backend=c10d --rdzv-endpoint=127.0.0.1:29500 --rdzv-id=config.py --max-restarts=3'),
    ('2:4', '0', '--nnodes=2:4 --rdzv-backend=c10d --rdzv-endpoint=127.0.0.1:29500 --rdzv-id=config.py'),
])  # fmt: skip
def test_restarts(nodes: str, restarts: str, words: str, environment: dict[str, str], tmp_path: Path):
    run = subprocess.Popen(['bash', str(TOOLS / 'dist_train.sh'), 'config.py', '2'],
                           env=environment | {'NNODES': nodes, 'MAX_RESTARTS': restarts})  # fmt: skip
    end = time.monotonic() + 20
    while not (tmp_path / 'child').exists() and time.monotonic() < end:
        time.sleep(0.02)
    run.terminate()
    run.wait(20)
    assert words in calls(tmp_path, 'torchrun')[0]
    assert calls(tmp_path, 'elastic') == ['1' if ':' in nodes else '']
