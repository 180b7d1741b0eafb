"""A schedule for another length of the run has the recipe's learning rates at the same shares of it."""

import copy
import math
from itertools import pairwise

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet, whose schedulers are among those tested

# isort: split
import mmdet.engine  # noqa: F401
from mmengine.config import Config

from swin_mmdet.engine.run_length import RunLength, follow, interval_problems, run_length, set_length
from swin_mmdet.engine.schedule_problems import schedule_problems
from swin_mmdet.errors import UserError

from .schedule_curves import rates

LENGTH = 120
# whole courses of a run of LENGTH iterations
COURSES = {
    'steps': [dict(type='MultiStepLR', milestones=[80, 110], gamma=0.1)],
    'steps with an end': [dict(type='MultiStepLR', milestones=[80, 110], end=LENGTH, gamma=0.1)],
    'equal steps': [dict(type='StepLR', step_size=40, gamma=0.3)],
    'cosine': [dict(type='CosineAnnealingLR', T_max=LENGTH, eta_min=0.05)],
    'cosine of a late part': [dict(type='CosineAnnealingLR', begin=60, end=LENGTH, T_max=60, eta_min_ratio=0.02)],
    'restarts': [dict(type='CosineRestartLR', periods=[30, 30, 60], restart_weights=[1, 0.5, 0.25], eta_min=0.0)],
    'linear': [dict(type='LinearLR', start_factor=1.0, end_factor=0.01, begin=90, end=LENGTH)],
    'poly': [dict(type='PolyLR', power=0.9, eta_min=1e-3, begin=0, end=LENGTH)],
    'one cycle': [dict(type='OneCycleLR', eta_max=2.0, total_steps=LENGTH, pct_start=0.3)],
    'exponential': [dict(type='ExponentialLR', gamma=0.97)],
    'one after another': [
        dict(type='CosineAnnealingLR', begin=0, end=60, T_max=60, eta_min=0.5),
        dict(type='ConstantLR', begin=60, end=90, factor=1.0),
        dict(type='LinearLR', start_factor=1.0, end_factor=0.1, begin=90, end=LENGTH),
    ],
}


def config(schedule, length: int = LENGTH, **changes) -> Config:
    cfg = Config(dict(
        train_cfg=dict(type='IterBasedTrainLoop', max_iters=length, val_interval=60),
        train_dataloader=dict(batch_size=2, sampler=dict(type='InfiniteSampler')),
        param_scheduler=schedule,
        default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=60, by_epoch=False)),
        custom_hooks=[],
    ))  # fmt: skip
    for key, value in changes.items():
        cfg[key] = value
    return cfg


def epochs(schedule, length: int = 12, **changes) -> Config:
    return config(
        schedule,
        **dict(
            train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=length, val_interval=1),
            train_dataloader=dict(batch_size=2, sampler=dict(type='DefaultSampler', shuffle=True, round_up=True)),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', interval=1), logger=dict(type='LoggerHook')),
            log_processor=dict(type='LogProcessor', by_epoch=True),
        )
        | changes,
    )


def no_epoch() -> int:
    raise AssertionError('the data need not be counted')


@pytest.mark.parametrize('name', COURSES)
@pytest.mark.parametrize('factor', [0.5, 3, 10])
def test_rates_are_those_of_the_recipe_at_the_same_share_of_the_run(name: str, factor: float):
    recipe = [dict(one, by_epoch=False) for one in COURSES[name]]
    cfg = config(copy.deepcopy(recipe))
    cfg.train_cfg.max_iters = round(LENGTH * factor)
    follow(cfg, RunLength(LENGTH, False))
    before, after = rates(recipe, LENGTH), rates(cfg.param_scheduler, round(LENGTH * factor))
    # mmengine's LinearLR, PolyLR and OneCycleLR reach their ends an iteration early
    step = max(abs(one - other) for one, other in pairwise(before)) / min(factor, 1)
    close = 1.1 * step if name in ('linear', 'poly', 'one cycle', 'one after another') else 1e-9
    for iteration in range(0, LENGTH, 6):
        assert after[round(iteration * factor)] == pytest.approx(before[iteration], abs=close), iteration
    if 'steps' in name:
        assert after[-1] == pytest.approx(before[-1])
    assert not schedule_problems(cfg.param_scheduler, 10, round(LENGTH * factor), False)


def test_a_schedule_that_is_left_ends_at_once():
    """What the tests above are about: without `follow` the rate is 2 % from the old end on."""
    late = rates([dict(one, by_epoch=False) for one in COURSES['cosine of a late part']], 10 * LENGTH)
    assert max(late[LENGTH:]) < 0.03


@pytest.mark.parametrize(
    ('schedule', 'expected'),
    [
        (dict(type='MultiStepLR', milestones=[8, 11], end=12), dict(milestones=[16, 22], end=24)),
        (
            dict(type='CosineAnnealingLR', begin=6, end=12, T_max=6, convert_to_iter_based=True),
            dict(begin=12, end=24, T_max=12),
        ),
        (dict(type='CosineAnnealingMomentum', T_max=12, eta_min=0.8), dict(T_max=24)),
        (dict(type='MultiStepLR', by_epoch=False, milestones=[800, 1100]), dict(milestones=[1600, 2200])),
    ],
)
def test_epochs_and_what_counts_iterations_in_them(schedule: dict, expected: dict):
    # one scheduler, a list, and those of several optimizers
    for wrapped in (schedule, [schedule], dict(first=[schedule], second=schedule)):
        cfg = epochs(copy.deepcopy(wrapped))
        set_length(cfg, RunLength(24, True), no_epoch)
        found = cfg.param_scheduler
        found = found if 'type' in found else found[0] if isinstance(found, list) else found.second
        assert {key: found[key] for key in expected} == expected
        assert cfg.train_cfg.max_epochs == 24


@pytest.mark.parametrize(
    ('length', 'milestones'), [(6, [4, 5]), (4, [2, 3]), (3, [1, 2]), (2, [1]), (1, []), (120, [80, 110])]
)
def test_steps_stay_within_few_epochs(length: int, milestones: list[int]):
    """Rounded, but each its own and before the end, at which a step would have no effect."""
    cfg = epochs([dict(type='MultiStepLR', milestones=[8, 11], end=12)])
    set_length(cfg, RunLength(length, True), no_epoch)
    assert cfg.param_scheduler[0].milestones == milestones


def test_what_the_user_set_stays():
    recipe = [dict(type='MultiStepLR', milestones=[8, 11], end=12), dict(type='CosineAnnealingMomentum', T_max=12)]
    cfg = epochs(copy.deepcopy(recipe))
    cfg.train_cfg.max_epochs = 24
    cfg.param_scheduler[0].milestones = [20, 23]
    follow(cfg, RunLength(12, True), {'train_cfg.max_epochs': 24, 'param_scheduler.0.milestones': [20, 23]})
    # it lasts as long as the run, as it did
    assert (cfg.param_scheduler[0].milestones, cfg.param_scheduler[0].end) == ([20, 23], 24)
    assert cfg.param_scheduler[1].T_max == 24

    cfg = epochs(copy.deepcopy(recipe))
    cfg.train_cfg.max_epochs = 24
    assert not follow(cfg, RunLength(12, True), {'param_scheduler': recipe})
    assert cfg.param_scheduler == recipe


def test_what_the_user_set_beside_an_option_stays():
    warm_up = dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=300)
    recipe = [warm_up, dict(type='MultiStepLR', milestones=[20, 23], end=12)]
    set_by_user = {'param_scheduler.0.end': 300, 'param_scheduler.1.milestones': [20, 23]}
    cfg = epochs(copy.deepcopy(recipe))
    set_length(cfg, RunLength(24, True), no_epoch, set_by_user)
    assert (cfg.param_scheduler[0].end, cfg.param_scheduler[1].milestones) == (300, [20, 23])
    assert cfg.param_scheduler[1].end == 24
    # epochs have to be converted, iterations have not
    cfg = epochs(copy.deepcopy(recipe), 24)
    set_length(cfg, RunLength(1200, False), no_epoch, set_by_user)
    assert (cfg.param_scheduler[0].end, cfg.param_scheduler[1].milestones) == (300, [1000, 1150])


@pytest.mark.parametrize(
    ('end', 'length', 'expected'),
    [(40, 5000, 40), (40, 100, 10), (200, 250, 100), (200, 400, 160), (400, 1000, 800)],
    ids=['longer', 'a tenth', 'its share', 'its share of more', 'most of the run is no warm-up'],
)
def test_a_warm_up_keeps_its_length_within_a_share(end: int, length: int, expected: int):
    """Of the recipe's 500 iterations it had 8 %, 40 % and 80 %."""
    rest = dict(type='CosineAnnealingLR', by_epoch=False, begin=end, end=500, T_max=500 - end)
    cfg = config([dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=end), rest], 500)
    set_length(cfg, RunLength(length, False), no_epoch)
    warm_up, cosine = cfg.param_scheduler
    assert warm_up.end == expected
    # what followed it still does, to the end
    assert (cosine.begin, cosine.end, cosine.T_max) == (expected, length, length - expected)


def test_nothing_is_left_of_a_warm_up_of_no_iterations():
    cfg = config([dict(type='LinearLR', start_factor=0.1, by_epoch=False, begin=0, end=40)], 500)
    set_length(cfg, RunLength(10, False), no_epoch)
    assert rates(cfg.param_scheduler, 10) == [1.0] * 10


def test_stages_intervals_and_averages_follow():
    cfg = epochs([], 100)
    cfg.train_cfg.update(val_interval=10, val_begin=50, dynamic_intervals=[(90, 1)])
    cfg.default_hooks.checkpoint.update(interval=10, save_begin=50)
    cfg.custom_hooks = [
        dict(type='mmdet.PipelineSwitchHook', switch_epoch=90, switch_pipeline=[]),
        dict(type='YOLOXModeSwitchHook', num_last_epochs=15),
        dict(type='EMAHook', begin_epoch=20),
    ]
    four = copy.deepcopy(cfg)
    set_length(cfg, RunLength(40, True), no_epoch)
    assert dict(cfg.train_cfg, type=None) == dict(
        type=None, max_epochs=40, val_interval=10, val_begin=20, dynamic_intervals=[(36, 1)]
    )
    assert (cfg.default_hooks.checkpoint.interval, cfg.default_hooks.checkpoint.save_begin) == (10, 20)
    switch, last, average = cfg.custom_hooks
    assert (switch.switch_epoch, last.num_last_epochs, average.begin_epoch) == (36, 6, 8)

    changes = set_length(four, RunLength(4, True), no_epoch)
    assert (four.train_cfg.val_interval, four.default_hooks.checkpoint.interval) == (4, 4)
    # both stages take place
    assert (four.custom_hooks[0].switch_epoch, four.custom_hooks[1].num_last_epochs) == (3, 1)
    assert 'PipelineSwitchHook switch_epoch 90 -> 3' in changes


def test_an_interval_of_the_whole_run_still_is_one():
    cfg = config([], 368750)
    cfg.train_cfg.update(val_interval=5000, dynamic_intervals=[(365001, 368750)])
    set_length(cfg, RunLength(1000, False), no_epoch)
    assert (cfg.train_cfg.val_interval, cfg.train_cfg.dynamic_intervals) == (1000, [(990, 1000)])


def test_epochs_of_a_config_that_counts_iterations():
    cfg = config([dict(type='MultiStepLR', by_epoch=False, milestones=[80], gamma=0.1)])
    changes = set_length(cfg, RunLength(12, True), lambda: 25)
    assert (cfg.train_cfg.max_iters, cfg.param_scheduler[0].milestones) == (300, [200])
    assert changes[0] == 'an epoch is 25 iterations'


def test_iterations_of_a_config_that_counts_epochs():
    warm_up = dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500)
    recipe = [warm_up, dict(type='MultiStepLR', milestones=[8, 11], end=12, gamma=0.1)]
    cfg = epochs(copy.deepcopy(recipe), custom_hooks=[dict(type='EMAHook', begin_epoch=6)])
    set_length(cfg, RunLength(1200, False), no_epoch)
    assert run_length(cfg) == RunLength(1200, False)
    assert cfg.train_cfg.val_interval == cfg.default_hooks.checkpoint.interval == 100
    assert not cfg.default_hooks.checkpoint.by_epoch
    assert not cfg.log_processor.by_epoch
    assert cfg.custom_hooks[0].begin_iter == 600
    assert cfg.train_dataloader.sampler == dict(type='InfiniteSampler', shuffle=True)
    # as 12 epochs of 100 iterations, but for the warm-up, which is bounded
    found, wanted = rates(cfg.param_scheduler, 1200), rates(recipe[1:], 1200, 100, run_by_epoch=True)
    assert found[120:] == pytest.approx(wanted[120:])
    assert found[0] == pytest.approx(0.001)


def test_iterations_of_what_a_config_of_epochs_counts_in_iterations_already():
    schedule = [dict(type='CosineAnnealingLR', by_epoch=False, begin=200, end=1000, T_max=800)]
    cfg = epochs(copy.deepcopy(schedule), 10)
    cfg.train_cfg.update(val_interval=2, val_begin=5, dynamic_intervals=[(8, 1)])
    changes = set_length(cfg, RunLength(500, False), lambda: 100)
    assert cfg.param_scheduler[0] == dict(schedule[0], begin=100, end=500, T_max=400)
    assert (cfg.train_cfg.val_interval, cfg.train_cfg.val_begin) == (100, 250)
    assert cfg.train_cfg.dynamic_intervals == [(400, 50)]
    assert 'train_cfg.dynamic_intervals 8, 1 -> 400, 50' in changes


@pytest.mark.parametrize(('begin', 'expected'), [(None, None), (1, 1), (2, 100), (3, 150)])
def test_evaluation_and_checkpoints_begin_at_the_same_share_in_iterations(begin, expected):
    cfg = epochs([], 10)
    if begin:
        cfg.train_cfg.val_begin = cfg.default_hooks.checkpoint.save_begin = begin
    changes = set_length(cfg, RunLength(500, False), no_epoch)
    assert cfg.train_cfg.get('val_begin') == expected
    assert cfg.default_hooks.checkpoint.get('save_begin') == (begin and 50 * begin)
    assert (f'CheckpointHook save_begin {begin} -> {50 * (begin or 0)}' in changes) is bool(begin)


def test_a_milestone_before_the_end_stays_before_it_in_iterations():
    cfg = epochs([dict(type='MultiStepLR', by_epoch=False, milestones=[800, 999], gamma=0.1)], 10)
    set_length(cfg, RunLength(500, False), lambda: 100)
    assert cfg.param_scheduler[0].milestones == [400, 499]


def test_whole_epochs_where_a_hook_acts_between_them():
    cfg = epochs([], 100, custom_hooks=[dict(type='PipelineSwitchHook', switch_epoch=90, switch_pipeline=[])])
    changes = set_length(cfg, RunLength(1000, False), lambda: 48)
    assert run_length(cfg) == RunLength(21, True)
    assert 'PipelineSwitchHook acts between epochs: whole epochs of 48 iterations' in changes


def test_intervals_that_leave_only_the_end():
    cfg = config([], 400, val_cfg=dict())
    cfg.train_cfg.val_interval = 1000
    cfg.default_hooks.checkpoint.interval = 500
    said = 'exceeds the run of 400 iterations:'
    assert interval_problems(cfg) == [
        f'train_cfg.val_interval=1000 {said} evaluation comes at its end only',
        f'default_hooks.checkpoint.interval=500 {said} a checkpoint comes at its end only',
    ]
    cfg.train_cfg.val_interval, cfg.default_hooks.checkpoint = 100, dict(type='CheckpointHook', interval=1)
    (problem,) = interval_problems(cfg)
    assert 'default_hooks.checkpoint counts epochs and the run iterations' in problem


@pytest.mark.parametrize('count', [0, -3, 1.5, 'ten', True])
def test_no_run_has_this_length(count: object):
    with pytest.raises(UserError, match=r'train_cfg\.max_iters=.* a whole number, at least 1'):
        run_length(config([], count))


def test_two_lengths_are_refused():
    cfg = config([])
    cfg.train_cfg.max_epochs = 12
    with pytest.raises(UserError, match=r'epochs or iterations, not both: .*--epochs or --iters'):
        run_length(cfg)


def test_a_loop_of_another_kind_says_what_to_give():
    cfg = epochs([], train_cfg=dict(type='TeacherLoop', max_epochs=12))
    with pytest.raises(UserError, match=r'TeacherLoop, counts epochs; give --epochs'):
        set_length(cfg, RunLength(100, False), no_epoch)


def test_the_texts_name_old_and_new():
    cfg = epochs([dict(type='MultiStepLR', milestones=[8, 11], end=12)])
    assert set_length(cfg, RunLength(24, True), no_epoch) == [
        'train_cfg.max_epochs 12 -> 24',
        'MultiStepLR end 12 -> 24',
        'MultiStepLR milestones 8, 11 -> 16, 22',
    ]
    assert math.isclose(cfg.train_cfg.max_epochs, 24)
