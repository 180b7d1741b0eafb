"""Options of a training: what each writes into a config, and what it refuses."""

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import mmdet.models  # noqa: F401  registers its averages
from mmdet.registry import HOOKS, MODELS
from mmengine.config import Config

from swin_mmdet.engine.training_options import average_weights, freeze_parts, scale_learning_rate, use_amp
from swin_mmdet.errors import UserError


@pytest.mark.parametrize(('dtype', 'stands'), [('auto', None), ('bf16', 'bfloat16'), ('fp16', 'float16')])
@pytest.mark.parametrize('kind', ['OptimWrapper', 'AmpOptimWrapper', None])
def test_mixed_precision(kind, dtype, stands):
    cfg = Config(dict(optim_wrapper=dict(optimizer=dict(type='SGD'), **(dict(type=kind) if kind else {}))))
    use_amp(cfg, dtype)
    assert (cfg.optim_wrapper.type, cfg.optim_wrapper.loss_scale) == ('AmpOptimWrapper', 'dynamic')
    assert cfg.optim_wrapper.get('dtype') == stands
    use_amp(cfg, 'off')
    assert cfg.optim_wrapper == dict(type='OptimWrapper', optimizer=dict(type='SGD'))


def test_a_loss_scale_of_the_config_stays_and_another_wrapper_is_refused():
    cfg = Config(dict(optim_wrapper=dict(type='AmpOptimWrapper', loss_scale=512.0)))
    use_amp(cfg, 'fp16')
    assert cfg.optim_wrapper.loss_scale == 512.0
    with pytest.raises(UserError, match='--amp works with OptimWrapper, the config has DeepSpeedOptimWrapper'):
        use_amp(Config(dict(optim_wrapper=dict(type='DeepSpeedOptimWrapper'))), 'off')


def test_a_scaled_rate_needs_the_batch_of_the_recipe():
    cfg = Config(dict(auto_scale_lr=dict(base_batch_size=16, enable=False)))
    scale_learning_rate(cfg, 'sqrt')
    assert cfg.auto_scale_lr == dict(base_batch_size=16, enable=True, rule='sqrt')
    for without in (Config(), Config(dict(auto_scale_lr=dict(enable=True)))):
        with pytest.raises(UserError, match='base_batch_size'):
            scale_learning_rate(without, 'linear')


@pytest.mark.parametrize('hooks', [None, [dict(type='NumClassCheckHook')]])
def test_an_average_is_a_hook_that_can_be_built(hooks):
    cfg = Config(dict(custom_hooks=hooks))
    average_weights(cfg, 0.999)
    *before, hook = cfg.custom_hooks
    assert before == (hooks or [])
    assert HOOKS.get(hook.type) is not None
    assert MODELS.get(hook.ema_type) is not None
    assert (hook.momentum, hook.update_buffers) == (0.999, True)
    with pytest.raises(UserError, match='has an EMAHook already'):
        average_weights(cfg, 0.5)


@pytest.mark.parametrize('momentum', [-0.1, 0, 1, 1.5, float('nan')])
def test_a_momentum_is_a_share(momentum):
    with pytest.raises(UserError, match=rf'--ema {momentum}: .*between 0 and 1'):
        average_weights(Config(), momentum)


def test_parts_are_left_to_the_runner():
    cfg = Config()
    freeze_parts(cfg, ['neck'])
    assert cfg.frozen_parts == ['neck']
    with pytest.raises(UserError, match="has runner_type='Mine'"):
        freeze_parts(Config(dict(runner_type='Mine')), ['neck'])
