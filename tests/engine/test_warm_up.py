"""Warm-up is over after a tenth of the run, whatever the data."""

import copy

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import mmdet.engine  # noqa: F401

from swin_mmdet.engine.warm_up import bound_warm_up

from .schedule_curves import rates

LINEAR = dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=1000)


@pytest.mark.parametrize(
    'warm_up',
    [
        LINEAR,
        dict(LINEAR, type='ConstantLR', factor=0.1),
        dict(type='mmdet.QuadraticWarmupLR', by_epoch=False, begin=0, end=1000),
        # an epoch of the five is 24 iterations: of 288 the tenth is one
        dict(type='LinearLR', start_factor=0.001, end=5, convert_to_iter_based=True),
    ],
    ids=lambda one: one['type'],
)
def test_288_iterations_reach_the_full_rate(warm_up: dict):
    """48 images, 12 epochs, batch 2."""
    schedule = [{key: value for key, value in warm_up.items() if key != 'start_factor' or 'Linear' in warm_up['type']}]
    run_by_epoch = not warm_up.get('convert_to_iter_based')
    assert max(rates(schedule, 288, 24, run_by_epoch)[:29]) < 0.5
    lines = bound_warm_up(schedule, 24, 288, run_by_epoch)
    assert len(lines) == 1
    assert 'run of 288 iterations' in lines[0]
    assert rates(schedule, 288, 24, run_by_epoch)[29:] == pytest.approx([1.0] * 259)


def test_accumulation_does_not_bring_it_back():
    """The hint about the batch names it; it makes 8,000 iterations of warm-up out of 1,000."""
    schedule = [dict(LINEAR, end=8 * 1000)]
    bound_warm_up(schedule, 24, 288, True)
    assert rates(schedule, 288)[29:] == pytest.approx([1.0] * 259)


def test_the_rest_follows_and_the_line_says_it():
    schedule = [LINEAR, dict(type='CosineAnnealingLR', by_epoch=False, begin=1000, end=2880, T_max=1880)]
    schedule = copy.deepcopy(schedule)
    (line,) = bound_warm_up(schedule, 240, 2880, True)
    assert line.startswith('warm-up (LinearLR, param_scheduler.0) ends at iteration 288, not iteration 1000: ')
    assert 'set param_scheduler.0.end to choose another' in line
    assert (schedule[1]['begin'], schedule[1]['T_max']) == (288, 2592)


@pytest.mark.parametrize(
    ('schedule', 'by_epoch'),
    [
        ([dict(LINEAR, end=500)], True),  # 500 of 87,960
        ([dict(LINEAR, end=200)], False),  # somebody chose 200 of 400
        ([dict(type='LinearLR', start_factor=1.0, end_factor=0.01, by_epoch=False, begin=300, end=400)], True),
        ([dict(type='LinearLR', start_factor=1.0, end_factor=0.01, by_epoch=False, end=87960)], True),
        ([dict(type='MultiStepLR', milestones=[8, 11])], True),
    ],
)
def test_what_is_no_long_warm_up_stays(schedule: list, by_epoch: bool):
    before = copy.deepcopy(schedule)
    assert bound_warm_up(schedule, 7330, 87960 if by_epoch else 400, by_epoch) == []
    assert schedule == before


def test_a_run_of_a_few_iterations_has_none():
    schedule = [dict(LINEAR)]
    (line,) = bound_warm_up(schedule, 2, 6, True)
    assert 'is left out' in line
    assert rates(schedule, 6) == [1.0] * 6
