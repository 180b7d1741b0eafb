"""The recipe's batch from small ones: what changes in a config, and that learning rates keep their steps."""

import re
import typing

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config
from mmengine.optim import OptimWrapper
from mmengine.registry import PARAM_SCHEDULERS
from mmengine.runner import IterBasedTrainLoop

from swin_mmdet.commands.launcher import world_size
from swin_mmdet.engine.accumulation import accumulate


def make_config(**changes):
    cfg = Config(dict(
        launcher='none',
        auto_scale_lr=dict(base_batch_size=16),
        train_dataloader=dict(batch_size=2),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4)),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
            dict(type='MultiStepLR', begin=0, end=12, by_epoch=True, milestones=[8, 11], gamma=0.1),
        ],
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1), logger=dict(interval=50)),
        custom_hooks=[],
    ))  # fmt: skip
    for key, value in changes.items():
        cfg[key] = value
    return cfg


def test_auto_makes_the_recipes_batch_and_stretches_the_warm_up():
    cfg = make_config()
    (line,) = accumulate(cfg, 'auto')
    assert cfg.optim_wrapper.accumulative_counts == 8
    warm_up, steps = cfg.param_scheduler
    assert (warm_up.begin, warm_up.end) == (0, 4000)
    # epochs are epochs
    assert (steps.milestones, steps.end, cfg.train_cfg.max_epochs) == ([8, 11], 12, 12)
    assert cfg.default_hooks.checkpoint.interval == 1
    assert '8 iterations make one step' in line


def test_processes_count(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv('WORLD_SIZE', '4')
    cfg = make_config(launcher='pytorch')
    accumulate(cfg, 'auto', world_size('pytorch'))
    assert cfg.optim_wrapper.accumulative_counts == 2


def test_a_loop_of_iterations_is_stretched_in_every_count():
    cfg = make_config(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=400, val_interval=100, val_begin=200,
                       dynamic_intervals=[(300, 10)]),
        param_scheduler=[dict(type='MultiStepLR', by_epoch=False, milestones=[200, 300], gamma=0.1)],
        default_hooks=dict(checkpoint=dict(by_epoch=False, interval=50, save_begin=20), logger=dict(interval=50)),
        custom_hooks=[dict(type='EMAHook', momentum=0.1)],
    )  # fmt: skip
    accumulate(cfg, '3')
    assert (cfg.train_cfg.max_iters, cfg.train_cfg.val_interval, cfg.train_cfg.val_begin) == (1200, 300, 600)
    assert cfg.train_cfg.dynamic_intervals == [(900, 30)]
    assert cfg.param_scheduler[0].milestones == [600, 900]
    assert (cfg.default_hooks.checkpoint.interval, cfg.default_hooks.checkpoint.save_begin) == (150, 60)
    assert cfg.default_hooks.logger.interval == 50
    assert cfg.custom_hooks[0].type == 'swin_mmdet.EMAHook'


# no iterations: the place where a run goes on, and evaluations without a better score
NO_ITERATIONS = {'last_step', 'patience', 'cooldown'}


def counting_arguments(*classes):
    """Names of the arguments of mmengine's classes and of their bases that are integers, or lists of them."""
    hints = [
        typing.get_type_hints(base.__init__) for cls in classes for base in cls.__mro__ if '__init__' in vars(base)
    ]
    return {name for one in hints for name, kind in one.items() if re.search(r'\bint\b', str(kind))}


def test_every_count_of_mmengines_schedulers_and_loop_is_stretched():
    counts = counting_arguments(*PARAM_SCHEDULERS.module_dict.values()) - NO_ITERATIONS
    of_the_loop = counting_arguments(IterBasedTrainLoop) - {'dynamic_intervals'}
    assert {'begin', 'milestones', 'T_max'} < counts
    assert 'max_iters' in of_the_loop
    cfg = make_config(
        train_cfg=dict(type='IterBasedTrainLoop', **dict.fromkeys(of_the_loop, 20)),
        param_scheduler=[dict(type='AnyLR', by_epoch=False, **{name: [5, 6] for name in counts})],
    )
    accumulate(cfg, '3')
    assert {name: cfg.train_cfg[name] for name in of_the_loop} == dict.fromkeys(of_the_loop, 60)
    assert {name: cfg.param_scheduler[0][name] for name in counts} == {name: [15, 18] for name in counts}


@pytest.mark.parametrize(('images', 'near'), [(3, 5), (5, 3), (32, 1)])
def test_a_batch_that_does_not_divide_names_the_remedies(user_error: type[Exception], images, near):
    cfg = make_config(train_dataloader=dict(batch_size=images))
    message = (
        rf'batch of 16 is no multiple of {images} = 1 processes x {images} .*'
        rf'`--accumulate {near} --auto-scale-lr`: a batch of {near * images} with its learning rate$'
    )
    with pytest.raises(user_error, match=message):
        accumulate(cfg, 'auto')


@pytest.mark.parametrize('wanted', ['0', '-2', 'all', '1.5'])
def test_another_word_than_auto_or_a_number_is_refused(user_error: type[Exception], wanted: str):
    with pytest.raises(user_error, match='`auto` or a number'):
        accumulate(make_config(), wanted)


def test_a_config_that_accumulates_is_not_stretched_twice(user_error: type[Exception]):
    cfg = make_config()
    accumulate(cfg, 'auto')
    with pytest.raises(user_error, match='accumulates already'):
        accumulate(cfg, 'auto')


def test_auto_needs_the_recipes_batch(user_error: type[Exception]):
    with pytest.raises(user_error, match='base_batch_size'):
        accumulate(make_config(auto_scale_lr={}), 'auto')


def learning_rates(cfg, steps):
    """Of each step of the optimizer, with mmengine's schedulers stepped after every iteration."""
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    count = cfg.optim_wrapper.get('accumulative_counts', 1)
    wrapper = OptimWrapper(optimizer, accumulative_counts=count)
    schedulers = [PARAM_SCHEDULERS.build(one, default_args=dict(optimizer=optimizer)) for one in cfg.param_scheduler]
    rates = []
    while len(rates) < steps:
        lr = optimizer.param_groups[0]['lr']
        wrapper.update_params(optimizer.param_groups[0]['params'][0].sum())
        if wrapper.should_update():
            rates.append(lr)
        for scheduler in schedulers:
            scheduler.step()
    return rates


@pytest.mark.parametrize('count', [2, 5])
def test_every_step_of_the_optimizer_keeps_its_learning_rate(count: int):
    """It lies within the rise of one step of the recipe's, and after the warm-up and the milestones it is the same."""
    schedule = [
        dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=50),
        dict(type='MultiStepLR', by_epoch=False, milestones=[70, 90], gamma=0.1),
    ]
    recipe, cfg = make_config(param_scheduler=schedule), make_config(param_scheduler=schedule)
    accumulate(cfg, str(count))
    wanted, found = learning_rates(recipe, 100), learning_rates(cfg, 100)
    for step, (one, other) in enumerate(zip(found, wanted, strict=True)):
        if step < 50:
            assert other <= one <= wanted[step + 1] + 1e-12, step
        else:
            assert one == pytest.approx(other), step
    assert wanted[60] == pytest.approx(1)
    assert wanted[-1] == pytest.approx(0.01)
