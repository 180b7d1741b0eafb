"""train.py and test.py as processes: one, several, killed and resumed."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  checkpoints of mmengine

from .conftest import TOOLS


def weights(work_dir: Path, epoch: int = 3) -> dict[str, torch.Tensor]:
    return torch.load(work_dir / f'epoch_{epoch}.pth', map_location='cpu')['state_dict']


def assert_same_weights(one: Path, other: Path, atol: float) -> None:
    expected, found = weights(one), weights(other)
    assert expected.keys() == found.keys()
    for name, value in expected.items():
        torch.testing.assert_close(found[name], value, rtol=0, atol=atol, msg=lambda text, name=name: f'{name}: {text}')


def test_training_changes_the_weights(trained: Path):
    first, last = weights(trained, 1), weights(trained, 3)
    assert max((first[name].float() - last[name].float()).abs().max().item() for name in first) > 1e-3


@pytest.mark.slow
def test_two_processes_learn_what_one_does(
    run: Callable[..., str], trained: Path, config: Path, shapes: Path, tmp_path: Path
):
    """The same global batches: the mean of gradients over processes is the gradient of the whole batch.

    It is so because of the fixed numbers of samples in the config; with random sampling the two runs would train on
    other samples, and with varying numbers each process would weigh its own by another divisor. What is left is the
    order of float32 sums, which 6 steps of momentum carry along: 3e-5 was seen, while the weights move by more than
    1e-2.
    """
    output = run(
        'bash', TOOLS / 'dist_train.sh', config, '2', '--data', shapes, '--work-dir', tmp_path,
        '--cfg-options', 'train_dataloader.batch_size=1', 'model.rpn_head.type=swin_mmdet.RPNHead',
        'model.test_cfg.rpn.nms.max_num=1000', PORT='29611',
    )  # fmt: skip
    (log,) = tmp_path.glob('*/*.log')
    for line in ('gloo', 'stages run module by module: ', 'RPNHead: proposals as in mmdet: '):
        assert output.count(line) == 1
        assert log.read_text().count(line) == 1
    assert_same_weights(trained, tmp_path, atol=3e-4)


@pytest.mark.slow
def test_a_killed_training_resumes_to_the_same_weights(
    run: Callable[..., str],
    environment: dict[str, str],
    trained: Path,
    config: Path,
    shapes: Path,
    tmp_path: Path,
):
    command = [sys.executable, str(TOOLS / 'train.py'), str(config), '--data', str(shapes), '--work-dir', str(tmp_path)]
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=tmp_path
    ) as process:
        deadline = time.monotonic() + 200
        while not (tmp_path / 'last_checkpoint').exists() and process.poll() is None and time.monotonic() < deadline:
            time.sleep(0.02)
        process.send_signal(signal.SIGKILL)
    assert (tmp_path / 'last_checkpoint').exists()

    output = run(*command, '--resume')

    assert 'resumed epoch' in output
    assert_same_weights(trained, tmp_path, atol=1e-6)


@pytest.mark.slow
def test_two_processes_evaluate_like_one(
    run: Callable[..., str], trained: Path, config: Path, shapes: Path, tmp_path: Path
):
    checkpoint = trained / 'epoch_3.pth'
    options = ['--data', shapes, '--work-dir', tmp_path]
    one = run(sys.executable, TOOLS / 'test.py', config, checkpoint, *options, '--out', tmp_path / 'results.pkl')
    two = run('bash', TOOLS / 'dist_test.sh', config, checkpoint, '2', *options, PORT='29612')
    assert copypaste(one)
    assert copypaste(one) == copypaste(two)
    assert (tmp_path / 'results.pkl').stat().st_size > 0


def copypaste(output: str) -> list[str]:
    return [line.split(' - ')[-1] for line in output.splitlines() if '_mAP_copypaste' in line]
