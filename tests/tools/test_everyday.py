"""train.py with its everyday options, as a user sees them: the lines it prints, what it trains, what it refuses."""

import importlib
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.engine.runner import TrainingRunner

from .conftest import TOOLS

# on conftest's config: steps, warm-up for more data, an average that starts late
SCHEDULE = """
_base_ = {base!r}
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000),
    dict(type='MultiStepLR', begin=0, end=3, by_epoch=True, milestones=[2], gamma=0.1),
]
train_cfg = dict(val_interval=3)
"""


def train(*arguments: object) -> None:
    importlib.import_module('swin_mmdet.commands.train').main([str(argument) for argument in arguments])


@pytest.fixture(scope='module')
def scheduled(config: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp('scheduled') / 'scheduled.py'
    path.write_text(SCHEDULE.format(base=str(config)))
    return path


def rates(output: str) -> list[float]:
    """The learning rate of each iteration, to the four digits of the log."""
    return [float(rate) for rate in re.findall(r' lr: (\S+)\s+eta', output)]


@pytest.fixture(scope='module')
def changed(run: Callable[..., str], scheduled: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory):
    """Work-dir and output of a training in a fresh process with nearly all of them: 20 iterations of one image."""
    work_dir = tmp_path_factory.mktemp('changed')
    output = run(
        sys.executable, TOOLS / 'train.py', scheduled, '--data', shapes, '--work-dir', work_dir, '--epochs', '5',
        '--batch-size', '1', '--lr', '0.02', '--img-scale', '64', '--workers', '0', '--seed', '3',
    )  # fmt: skip
    return work_dir, output


def test_each_says_what_it_changed(changed: tuple[Path, str]):
    lines = changed[1].splitlines()
    for line in (
        '--epochs 5: train_cfg.max_epochs 3 -> 5; MultiStepLR end 3 -> 5; MultiStepLR milestones 2 -> 3',
        '--batch-size 1: train_dataloader.batch_size 2 -> 1',
        '--lr 0.02: optim_wrapper.optimizer.lr 0.01 -> 0.02',
        '--img-scale 64: test images 192x192 -> 64x64; Resize 96x96 -> 32x32',
        '--workers 0: nothing changes',
        '--seed 3: randomness.seed 0 -> 3',
    ):
        assert lines.count(line) == 1, line


def test_the_rates_of_a_small_training(changed: tuple[Path, str]):
    """Warm-up is over after a tenth of the run, the step comes at its share, and the rate is the one that was given."""
    scalars = next(changed[0].glob('*/vis_data/scalars.json')).read_text().splitlines()
    found = [row['lr'] for row in map(json.loads, scalars) if 'lr' in row]
    assert len(found) == 20
    assert found[2:12] == pytest.approx([0.02] * 10)
    assert found[12:] == pytest.approx([0.002] * 8)
    line = (
        'warm-up (LinearLR, param_scheduler.0) ends at iteration 2, not iteration 1000: it is bounded by 10% of the run'
    )
    # said in the console and in the log
    log = ''.join(path.read_text() for path in changed[0].glob('*/*.log'))
    assert changed[1].count(line) == log.count(line) == 1
    assert 'learning rate 0.02; optimizer steps: 4 an epoch' in log
    # what the hint would make of it
    assert 'or --auto-scale-lr; accumulated to a batch of 8 this short run has 2 steps of the optimizer' in log


def test_the_config_beside_the_weights_has_them_all(changed: tuple[Path, str]):
    cfg = Config.fromfile(changed[0] / 'scheduled.py')
    assert cfg.train_dataloader.dataset.pipeline[2].scale == (32, 32)
    assert cfg.test_dataloader.dataset.pipeline[1].scale == (64, 64)
    assert (cfg.train_cfg.max_epochs, cfg.train_dataloader.batch_size, cfg.randomness.seed) == (5, 1, 3)


def test_another_length_does_not_resume(
    changed: tuple[Path, str], scheduled: Path, shapes: Path, user_error: type[Exception]
):
    """Its schedule would be the checkpoint's, of the old length."""
    options = '--epochs', 12, '--batch-size', 1, '--lr', 0.02, '--seed', 3
    with pytest.raises(user_error, match=r'trained with schedule: .*end=5.*; now: .*end=12.*load_from='):
        train(scheduled, '--data', shapes, '--work-dir', changed[0], '--workers', 0, '--resume', *options)


@pytest.mark.parametrize(
    ('saved', 'now', 'words'),
    [
        ({'batch': 1}, {'batch': 2}, 'trained with batch: 1; now: 2'),
        ({'learning rate': '0.02'}, {'learning rate': '0.01'}, r'trained with learning rate: 0\.02; now: 0\.01'),
        ({}, {'seed': 4}, 'trained with seed: 3; now: 4'),
    ],
)
def test_what_else_does_not_resume(saved: dict, now: dict, words: str, user_error: type[Exception]):
    randomness, alone = {'seed': now.get('seed')}, {'processes': 1, 'iterations an epoch': 4}
    runner = SimpleNamespace(
        hooks=[], model=torch.nn.Identity(), settings=lambda: now | alone, _randomness_cfg=randomness, is_elastic=False
    )
    checkpoint = {'meta': {'settings': saved, 'seed': 3}}
    check = TrainingRunner._check_resumed
    with pytest.raises(user_error, match=words):
        check(runner, 'epoch_5.pth', checkpoint)
    # the same, and what another program has not written, may
    runner.settings, runner._randomness_cfg = lambda: saved | alone | {'schedule': 'constant'}, {'seed': 3}
    check(runner, 'epoch_5.pth', checkpoint)


def test_other_sizes_and_workers_resume(changed: tuple[Path, str], scheduled: Path, shapes: Path):
    """No state depends on them. The run is at its end: nothing is left to train."""
    train(
        scheduled, '--data', shapes, '--work-dir', changed[0], '--resume', '--epochs', 5, '--batch-size', 1, '--lr',
        0.02, '--img-scale', 96, '--workers', 0, '--seed', 3,
    )  # fmt: skip


def test_the_readmes_example(shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """The quickstart's config with another `train_cfg.max_iters`, its model and images small."""
    config = TOOLS.parent / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'
    train(
        config, '--data', shapes, '--work-dir', tmp_path, '--img-scale', 32, '--batch-size', 1, '--workers', 0,
        '--cfg-options', 'train_cfg.max_iters=20', 'default_hooks.logger.interval=1', 'model.backbone.embed_dims=16',
        'model.backbone.num_heads=[1,2,4,8]', 'model.neck.in_channels=[16,32,64,128]',
    )  # fmt: skip
    output = capsys.readouterr().out
    assert (
        '--cfg-options train_cfg.max_iters 500 -> 20: LinearLR (warm-up) end 40 -> 2; '
        'CosineAnnealingLR begin 250 -> 10; CosineAnnealingLR end 500 -> 20'
    ) in output
    found = rates(output)
    # scaled from the recipe's batch of 8
    assert found[2:11] == pytest.approx([0.0005 / 8] * 9, rel=1e-3)
    assert found[-1] < 0.05 * 0.0005 / 8
    assert 'scaled by 0.125 (linear; the recipe has a batch of 8)' in output
    assert '5 times over the data' in output


def test_units_are_converted_by_the_data(scheduled: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """Epochs as iterations, evaluated and saved at the same shares; and back."""
    train(scheduled, '--data', shapes, '--work-dir', tmp_path / 'iterations', '--iters', 4)
    output = capsys.readouterr().out
    assert '--iters 4: train_cfg.max_epochs 3 -> max_iters 4; ' in output
    assert 'restarted' not in output
    assert rates(output) == pytest.approx([0.01] * 3 + [0.001])
    assert (tmp_path / 'iterations/iter_4.pth').exists()
    assert re.search(r'Iter\(val\)', output)

    counted = tmp_path / 'iterations/scheduled.py'
    train(counted, '--work-dir', tmp_path / 'epochs', '--epochs', 1, '--accumulate', 2)
    output = capsys.readouterr().out
    # 4 iterations became 8 of half the effect; an epoch is 2, whatever is accumulated
    assert '--epochs 1: an epoch is 2 iterations; train_cfg.max_iters 8 -> 2; ' in output
    assert torch.load(tmp_path / 'epochs/iter_2.pth', map_location='cpu')['meta']['iter'] == 2


def test_what_the_user_set_stays_and_what_does_not_fit_is_said(
    config: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    """A config that only changes the length leaves a schedule of another; a warm-up from the command line is meant."""
    path = tmp_path / 'longer.py'
    path.write_text(SCHEDULE.format(base=str(config)).replace('end=3', 'end=1') + 'train_cfg.update(max_epochs=2)\n')
    options = '--cfg-options', 'param_scheduler.0.end=9', 'train_cfg.val_interval=5'
    train(path, '--data', shapes, '--work-dir', tmp_path / 'work', *options)
    output = capsys.readouterr().out
    for line in (
        'LinearLR (param_scheduler.0) warms up until iteration 9, the run at iteration 4: 225% of the run',
        'MultiStepLR (param_scheduler.1) has a milestone at epoch 2, the run at epoch 2: it never acts',
        'MultiStepLR (param_scheduler.1) ends at epoch 1, the run at epoch 2: from there on the value stays',
        'train_cfg.val_interval=5 exceeds the run of 2 epochs: evaluation comes at its end only',
    ):
        assert output.count(line) == 1
    assert rates(output)[1] == pytest.approx(0.01 * (0.001 + 0.999 / 8), rel=1e-3)
