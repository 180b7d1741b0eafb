"""What a scheduler of a config is: a warm-up or not, and the same text for the same schedule."""

import pytest

from swin_mmdet.engine.schedules import covered, described, is_warm_up


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
