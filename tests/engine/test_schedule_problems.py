"""Schedules that do not fit the run are said, those of published recipes are not."""

import pytest

from swin_mmdet.engine.schedule_problems import schedule_problems

COSINE = dict(type='CosineAnnealingLR', by_epoch=False, begin=250, end=500)


@pytest.mark.parametrize(
    ('schedule', 'run', 'words'),
    [
        ([COSINE], (1, 5000, False), 'LR (param_scheduler.0) ends at iteration 500, the run at iteration 5000'),
        ([COSINE], (1, 100, False), 'begins at iteration 250, the run at iteration 100: it never acts'),
        ([COSINE], (1, 300, False), 'ends at iteration 500, the run at iteration 300: it is cut off'),
        ([dict(type='MultiStepLR', milestones=[8, 11], end=12)], (10, 360, True), 'epoch 12, the run at epoch 36'),
        ([dict(type='MultiStepLR', milestones=[8, 11])], (10, 360, True), 'last milestone at epoch 11, the run'),
        ([dict(type='MultiStepLR', milestones=[8, 11])], (10, 100, True), 'milestone at epoch 11, the run'),
        ([dict(type='MultiStepLR', milestones=[8, 11])], (10, 120, False), 'counts epochs and the run iterations'),
        ([dict(COSINE, begin=0, T_max=250)], (1, 500, False), 'T_max=250 of its 500 iterations: the value'),
        ([dict(COSINE, begin=0, T_max=900)], (1, 500, False), 'has T_max=900 and acts for 500 iterations'),
        ([dict(type='OneCycleLR', by_epoch=False, total_steps=100)], (1, 500, False), 'will stop with an error'),
        ([dict(type='OneCycleLR', by_epoch=False, total_steps=900)], (1, 500, False), 'does not come to its end'),
        ([dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=400)], (1, 500, False), '80% of the run'),
        ([dict(type='CosineAnnealingMomentum', T_max=6, end=6)], (10, 120, True), 'epoch 6, the run at epoch 12'),
    ],
)  # fmt: skip
def test_it_is_said(schedule: list, run: tuple, words: str):
    problems = schedule_problems(schedule, *run)
    assert len(problems) == 1
    assert words in problems[0]


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
