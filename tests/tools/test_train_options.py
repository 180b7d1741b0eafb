"""train.py with its options, from start to end on a tiny data set."""

import importlib
import re
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.engine.training_options import average_weights, freeze_parts, use_amp

from .conftest import TOOLS
from .test_train import assert_same_weights, copypaste, weights


def train(*arguments: object) -> None:
    importlib.import_module('swin_mmdet.commands.train').main([str(argument) for argument in arguments])


def log_of(work_dir: Path) -> str:
    return ''.join(path.read_text() for path in sorted(work_dir.glob('*/*.log')))


@pytest.mark.slow
def test_accumulated_batches_learn_what_one_batch_does(
    run: Callable[..., str], trained: Path, config: Path, shapes: Path, tmp_path: Path
):
    """4 images in 4 iterations with a step for every 2, against 2 iterations of 2 images; see conftest's config."""
    log = run(
        sys.executable, TOOLS / 'train.py', config, '--data', shapes, '--work-dir', tmp_path, '--accumulate', 'auto',
        '--cfg-options', 'train_dataloader.batch_size=1', 'auto_scale_lr.base_batch_size=2',
    )  # fmt: skip
    assert_same_weights(trained, tmp_path, atol=3e-4)
    assert 'batch 2 = 1 processes x 1 images x 2 accumulated; learning rate 0.01; optimizer steps: 2 an epoch' in log
    assert 'use --accumulate' not in log


def test_a_small_batch_is_warned_of_once_and_its_learning_rate_scaled_on_request(
    trained: Path, config: Path, shapes: Path, tmp_path: Path, user_error: type[Exception]
):
    log = log_of(trained)
    assert log.count("batch is 2, the recipe's 8: use --accumulate auto (same result, slower) or --auto-scale-lr") == 1
    options = ['--data', shapes, '--work-dir', tmp_path, '--cfg-options', 'train_cfg.max_epochs=1']
    train(config, *options, '--auto-scale-lr', 'sqrt')
    log = log_of(tmp_path)
    assert 'learning rate 0.005, scaled by 0.5 (sqrt; the recipe has a batch of 8); optimizer steps: 2 an epoch' in log
    assert "the recipe's 8" not in log
    saved = torch.load(tmp_path / 'epoch_1.pth', map_location='cpu')
    assert saved['optimizer']['param_groups'][0]['lr'] == pytest.approx(0.005)

    with pytest.raises(user_error, match='trained with scaling of the learning rate: sqrt; now: none'):
        train(config, *options, '--resume')


@pytest.mark.slow
def test_averaged_weights_are_evaluated_saved_and_tested(
    config: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture, user_error: type[Exception]
):
    # an average that is far from the last weights, which move fast
    hook = "[dict(type='swin_mmdet.EMAHook', momentum=0.3, update_buffers=True)]"
    path = tmp_path / 'averaged.py'
    epochs = 'dict(max_epochs=2, val_interval=2)'
    path.write_text(f'_base_ = {str(config)!r}\ncustom_hooks = {hook}\ntrain_cfg = {epochs}\n')
    train(path, '--data', shapes, '--work-dir', tmp_path / 'work')
    evaluated = capsys.readouterr().out
    assert evaluated.count('averaged weights are evaluated') == 1
    saved = torch.load(tmp_path / 'work/epoch_2.pth', map_location='cpu')
    raw = {key.removeprefix('module.'): value for key, value in saved['ema_state_dict'].items()}
    assert max((raw[key].float() - value.float()).abs().max() for key, value in saved['state_dict'].items()) > 1e-3

    importlib.import_module('swin_mmdet.commands.test').main(
        [str(path), str(tmp_path / 'work/epoch_2.pth'), '--data', str(shapes), '--work-dir', str(tmp_path / 'test')]
    )
    tested = capsys.readouterr().out
    assert copypaste(evaluated)
    assert copypaste(tested) == copypaste(evaluated)

    with pytest.raises(user_error, match='averaged weights; add --ema'):
        train(config, '--data', shapes, '--work-dir', tmp_path / 'work', '--resume')


@pytest.mark.slow
def test_frozen_parts_stay_on_two_processes_that_accumulate(
    run: Callable[..., str], config: Path, shapes: Path, tmp_path: Path
):
    """Every other parameter has a gradient in every step, or distributed training would stop with an error."""
    output = run(
        'bash', TOOLS / 'dist_train.sh', config, '2', '--data', shapes, '--work-dir', tmp_path,
        '--freeze', 'neck', 'rpn_head.rpn_(conv|reg)', 'backbone.stages.0', '--accumulate', '2',
        '--cfg-options', 'train_cfg.max_epochs=2', 'train_dataloader.batch_size=1', PORT='29617',
    )  # fmt: skip
    first, last = (weights(tmp_path, epoch) for epoch in (1, 2))
    moved = {name for name in last if not torch.equal(first[name], last[name])}
    frozen = re.compile(r'neck|rpn_head\.rpn_(conv|reg)|backbone\.stages\.0\.')
    assert {name for name in last if not frozen.match(name)} == moved
    assert 'batch 4 = 2 processes x 1 images x 2 accumulated; learning rate 0.01; optimizer steps: 1 an epoch' in output
    (count,) = set(re.findall(r'frozen: neck, .*; ([\d,]+) of [\d,]+ parameters train', output))
    assert int(count.replace(',', '')) == sum(last[name].numel() for name in moved)


def test_an_unknown_part_is_refused_with_the_names(
    config: Path, shapes: Path, tmp_path: Path, user_error: type[Exception]
):
    with pytest.raises(user_error, match=r"'nek' matches no parameter; there are backbone, .*neck"):
        train(config, '--data', shapes, '--work-dir', tmp_path, '--freeze', 'nek')


def test_another_runner_cannot_freeze(user_error: type[Exception]):
    with pytest.raises(user_error, match='runner_type'):
        freeze_parts(Config(dict(runner_type='FlexibleRunner')), ['neck'])


@pytest.mark.parametrize(
    ('word', 'wrapper', 'dtype'),
    [
        ('auto', 'AmpOptimWrapper', None),
        ('bf16', 'AmpOptimWrapper', 'bfloat16'),
        ('fp16', 'AmpOptimWrapper', 'float16'),
        ('off', 'OptimWrapper', None),
    ],
)
@pytest.mark.parametrize('before', ['OptimWrapper', 'AmpOptimWrapper'])
def test_precision(word: str, wrapper: str, dtype: str | None, before: str):
    cfg = Config(dict(optim_wrapper=dict(type=before, optimizer=dict(type='SGD'))))
    use_amp(cfg, word)
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.get('dtype')) == (wrapper, dtype)
    assert cfg.optim_wrapper.get('loss_scale') == (None if word == 'off' else 'dynamic')


@pytest.mark.skipif(not torch.cuda.is_available(), reason='no GPU')
@pytest.mark.parametrize(('word', 'dtype'), [('bf16', torch.bfloat16), ('fp16', torch.float16)])
def test_products_run_in_the_type_asked_for(word: str, dtype: torch.dtype):
    from mmengine.optim import build_optim_wrapper

    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))))
    use_amp(cfg, word)
    model = torch.nn.Linear(4, 4).cuda()
    wrapper = build_optim_wrapper(model, cfg.optim_wrapper)
    with wrapper.optim_context(model):
        assert model(torch.ones(1, 4, device='cuda')).dtype == dtype


@pytest.mark.parametrize('momentum', [0.0, 1.0, -0.1])
def test_a_momentum_out_of_range_is_refused(momentum: float, user_error: type[Exception]):
    with pytest.raises(user_error, match='between 0 and 1'):
        average_weights(Config(), momentum)


def test_ema_adds_one_hook(user_error: type[Exception]):
    cfg = Config(dict(custom_hooks=[dict(type='NumClassCheckHook')]))
    average_weights(cfg, 0.001)
    assert [hook.type for hook in cfg.custom_hooks] == ['NumClassCheckHook', 'swin_mmdet.EMAHook']
    assert cfg.custom_hooks[1].momentum == 0.001
    with pytest.raises(user_error, match='has an EMAHook already'):
        average_weights(cfg, 0.001)
