"""What a scheduler of a config is: a warm-up or not, and the same text for the same schedule."""

import pytest

from swin_mmdet.config.changes import Changes
from swin_mmdet.engine.schedules import covered, described, is_warm_up, stretch
from swin_mmdet.engine.warm_up import is_left_out, shorten


@pytest.mark.parametrize(
    ('scheduler', 'expected'),
    [
        (dict(type='LinearLR', end=5), True),
        (dict(type='LinearLR', end=5, start_factor=1.0), False),
        (dict(type='LinearLR', end=5, start_factor=0.5, end_factor=0.5), False),
        (dict(type='LinearLR', end=5, begin=1), False),
        (dict(type='LinearLR'), False),
        (dict(type='ConstantLR', end=5), True),
        (dict(type='ConstantLR', end=5, factor=0.9), True),
        (dict(type='ConstantLR', end=5, factor=1), False),
        (dict(type='mmdet.QuadraticWarmupLR', end=5), True),
        (dict(type='CosineAnnealingLR', end=5), False),
    ],
    ids=str,
)
def test_a_warm_up_starts_with_the_run_rises_and_ends(scheduler, expected):
    """The factors that are left out are mmengine's: a third, and 1 at the end."""
    assert is_warm_up(scheduler) is expected


def test_a_schedule_in_a_line():
    schedule = [
        dict(type='mmengine.MultiStepLR', milestones=(8, 11), gamma=0.1, verbose=True, _scope_='mmdet'),
        dict(type='LinearLR', end=500),
    ]
    assert described(schedule) == 'MultiStepLR(gamma=0.1, milestones=[8, 11]); LinearLR(end=500)'
    assert described(schedule[1:]) == 'LinearLR(end=500)'
    assert described(None) == described([]) == 'constant'


def test_a_key_is_set_with_what_it_is_inside_of():
    assert covered('a.b.c', ['x', 'a.b'])
    assert covered('a.b', ['a.b'])
    assert not covered('a.b', ['a.b.c', 'a.bc', 'b'])


@pytest.mark.parametrize(
    ('end', 'by_epoch', 'stays'), [(2, False, True), (1, False, False), (1, True, True), (0, True, False)]
)
def test_a_warm_up_of_no_length_is_left_out_in_its_place(end, by_epoch, stays):
    scheduler = dict(type='LinearLR', start_factor=0.1, begin=0, end=9, by_epoch=by_epoch)
    assert not is_left_out(scheduler)
    assert shorten(scheduler, end) is stays
    assert is_left_out(scheduler) is not stays
    if stays:
        assert scheduler == dict(type='LinearLR', start_factor=0.1, begin=0, end=end, by_epoch=by_epoch)
    else:
        assert scheduler == dict(type='ConstantLR', factor=1.0, begin=0, end=1, by_epoch=by_epoch)


def test_only_a_constant_of_one_that_ends_at_once_was_left_out():
    left = dict(type='ConstantMomentum', factor=1.0, end=1)
    assert is_left_out(left)
    for other in (dict(left, factor=0.5), dict(left, end=2), dict(left, type='LinearLR')):
        assert not is_left_out(other)


def test_a_part_that_becomes_shorter_than_a_step_keeps_one():
    scheduler = dict(type='LinearLR', begin=60, end=100)
    stretch(scheduler, 0.01, None, (), Changes())
    assert (scheduler['begin'], scheduler['end']) == (0, 1)
