"""Schedules that do not fit the run are said, those of published recipes are not."""

import pytest

from swin_mmdet.engine.schedule_problems import schedule_problems

COSINE = dict(type='CosineAnnealingLR', by_epoch=False, begin=250, end=500)


STEPS = dict(type='MultiStepLR', milestones=[8, 11])
WARM_UP = dict(type='LinearLR', start_factor=0.1, by_epoch=False)
ONE_CYCLE = dict(type='OneCycleLR', by_epoch=False)
ITERATIONS = (1, 500, False)


# in each place the first count of which it is said: the one beside it is among those that fit
@pytest.mark.parametrize(
    ('schedule', 'run', 'words'),
    [
        (dict(COSINE, end=449), ITERATIONS,
         'CosineAnnealingLR ({}) ends at iteration 449, the run at iteration 500: from there on the value stays'),
        (dict(COSINE, begin=500), ITERATIONS,
         'CosineAnnealingLR ({}) begins at iteration 500, the run at iteration 500: it never acts'),
        (dict(type='PolyLR', begin=50, end=100), (10, 500, True),
         'PolyLR ({}) begins at epoch 50, the run at epoch 50: it never acts'),
        (dict(COSINE, end=551), ITERATIONS,
         'CosineAnnealingLR ({}) ends at iteration 551, the run at iteration 500: it is cut off'),
        (dict(STEPS, end=12), (10, 360, True),
         'MultiStepLR ({}) ends at epoch 12, the run at epoch 36: from there on the value stays'),
        (STEPS, (10, 230, True),
         'MultiStepLR ({}) has its last milestone at epoch 11, the run at epoch 23: from there on the value stays'),
        (STEPS, (10, 110, True),
         'MultiStepLR ({}) has a milestone at epoch 11, the run at epoch 11: it never acts'),
        (STEPS, (10, 80, True),
         'MultiStepLR ({}) has a milestone at epoch 8, the run at epoch 8: it never acts'),
        (STEPS, (10, 120, False),
         'MultiStepLR ({}) counts epochs and the run iterations: it never acts; set by_epoch=False and its counts'),
        (dict(COSINE, begin=100, T_max=359), ITERATIONS,
         'CosineAnnealingLR ({}) turns after T_max=359 of its 400 iterations: the value goes up again'),
        (dict(COSINE, begin=100, T_max=441), ITERATIONS,
         'CosineAnnealingLR ({}) has T_max=441 and acts for 400 iterations: it does not come to its end'),
        (dict(type='CosineAnnealingLR', T_max=3, end=5), (10, 50, True),
         'CosineAnnealingLR ({}) turns after T_max=3 of its 5 epochs: the value goes up again'),
        (dict(ONE_CYCLE, total_steps=499), ITERATIONS,
         'OneCycleLR ({}) has total_steps=499 and acts for 500 iterations: it will stop with an error'),
        (dict(ONE_CYCLE, total_steps=551), ITERATIONS,
         'OneCycleLR ({}) has total_steps=551 and acts for 500 iterations: it does not come to its end'),
        (dict(WARM_UP, end=255), ITERATIONS,
         'LinearLR ({}) warms up until iteration 255, the run at iteration 500: 51% of the run'),
        (dict(type='LinearLR', end=4), (10, 50, True),
         'LinearLR ({}) warms up until epoch 4, the run at epoch 5: 80% of the run'),
        (dict(type='CosineAnnealingMomentum', T_max=6, end=6), (10, 120, True),
         'CosineAnnealingMomentum ({}) ends at epoch 6, the run at epoch 12: from there on the value stays'),
    ],
)  # fmt: skip
def test_it_is_said(schedule: dict, run: tuple, words: str):
    assert schedule_problems([schedule], *run) == [words.format('param_scheduler.0')]
    assert schedule_problems(schedule, *run) == [words.format('param_scheduler')]


@pytest.mark.parametrize(
    ('schedule', 'run'),
    [
        (dict(COSINE, end=450), ITERATIONS), (dict(COSINE, begin=449, end=500), ITERATIONS),
        (dict(COSINE, end=550), ITERATIONS), (dict(type='ExponentialLR', gamma=0.9, end=5000), (1, 500, True)),
        (STEPS, (10, 120, True)), (STEPS, (10, 220, True)), (dict(WARM_UP, end=250), ITERATIONS),
        (dict(COSINE, begin=100, T_max=360), ITERATIONS), (dict(COSINE, begin=100, T_max=440), ITERATIONS),
        (dict(type='CosineAnnealingLR', T_max=4, end=5), (10, 50, True)),
        (dict(type='CosineAnnealingLR', T_max=6, end=5), (10, 50, True)),
        (dict(ONE_CYCLE, total_steps=500), ITERATIONS), (dict(ONE_CYCLE, total_steps=550), ITERATIONS),
    ],
)  # fmt: skip
def test_just_so_it_fits(schedule: dict, run: tuple):
    assert schedule_problems([schedule], *run) == []


def test_several_optimizers_and_parameters_have_schedules_of_their_own():
    """Of one that ends early the next of the same parameter takes over, no other."""
    early = dict(COSINE, begin=0, end=250)
    node = dict(
        generator=[early, dict(COSINE, begin=250)],
        critic=[early, dict(type='CosineAnnealingMomentum', by_epoch=False, end=500)],
    )
    words = 'ends at iteration 250, the run at iteration 500: from there on the value stays'
    assert schedule_problems(node, *ITERATIONS) == [f'CosineAnnealingLR (param_scheduler.critic.0) {words}']
    # a warm-up takes over from nothing
    found = schedule_problems([dict(STEPS, end=12), dict(WARM_UP, end=100)], 10, 360, True)
    assert [one.split(')')[0] for one in found] == ['MultiStepLR (param_scheduler.0']


@pytest.mark.parametrize(
    ('schedule', 'run'),
    [
        ([dict(type='MultiStepLR', milestones=[8, 11], end=12)], (7330, 12 * 7330, True)),
        ([dict(type='MultiStepLR', milestones=[27, 33], end=36)], (7330, 36 * 7330, True)),
        ([dict(type='CosineAnnealingLR', begin=50, end=100, T_max=50, convert_to_iter_based=True)], (10, 1000, True)),
        ([dict(type='CosineAnnealingLR', end=100, T_max=100, convert_to_iter_based=True)], (10, 1000, False)),
        # each takes over from the one before
        ([dict(COSINE, begin=0, end=250), dict(type='ConstantLR', by_epoch=False, begin=250)], (1, 500, False)),
        ([dict(type='LinearLR', by_epoch=False, end=200), dict(type='LinearLR', start_factor=1.0, end_factor=0.01,
                                                              by_epoch=False, begin=300, end=400)], (1, 400, False)),
        # YOLOX's in ten epochs
        ([dict(type='CosineAnnealingLR', begin=1, end=10, T_max=10)], (10, 100, True)),
        ([], (1, 500, False)),
    ],
)  # fmt: skip
def test_it_fits(schedule: list, run: tuple):
    assert schedule_problems(schedule, *run) == []
