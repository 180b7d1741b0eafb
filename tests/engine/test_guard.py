"""The guards that a config of any training gets."""

import copy

import pytest
from mmengine.config import Config

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.engine.guards import guard

GUARDS = ['WorkDirHook', 'StopHook', 'NonFiniteHook', 'BrokenImagesHook', 'LostProcessHook', 'OutOfMemoryHook']


def guarded(**settings: object) -> Config:
    cfg = Config(copy.deepcopy(settings))
    guard(cfg)
    return cfg


def names(cfg: Config) -> list[str]:
    return [hook.type.removeprefix('swin_mmdet.') for hook in cfg.custom_hooks]


@pytest.mark.parametrize(('loop', 'expected'), [
    (dict(max_epochs=3), dict(max_epochs=3, type='swin_mmdet.EpochBasedTrainLoop')),
    (dict(by_epoch=True, max_epochs=3), dict(max_epochs=3, type='swin_mmdet.EpochBasedTrainLoop')),
    (dict(by_epoch=False, max_iters=3), dict(max_iters=3, type='swin_mmdet.IterBasedTrainLoop')),
    (dict(type='EpochBasedTrainLoop', max_epochs=3), dict(type='swin_mmdet.EpochBasedTrainLoop', max_epochs=3)),
    (dict(type='mmengine.IterBasedTrainLoop', max_iters=3), dict(type='swin_mmdet.IterBasedTrainLoop', max_iters=3)),
    (dict(type='MyLoop', by_epoch=True), dict(type='MyLoop', by_epoch=True)),
])  # fmt: skip
def test_loops_are_ours_unless_they_are_the_users(loop: dict, expected: dict):
    cfg = guarded(train_cfg=loop)
    assert dict(cfg.train_cfg) == expected
    assert dict(cfg.default_hooks) == dict(checkpoint=dict(type='swin_mmdet.CheckpointHook', interval=1))
    assert names(cfg) == GUARDS


def test_what_does_not_train_is_left_alone():
    hooks = dict(timer=dict(type='IterTimerHook'))
    for settings in ({}, dict(train_cfg=None), dict(train_cfg=None, default_hooks=hooks)):
        assert guarded(**settings).to_dict() == settings


@pytest.mark.parametrize(('saver', 'after', 'stops'), [
    (dict(type='CheckpointHook', interval=5), dict(type='swin_mmdet.CheckpointHook', interval=5), True),
    (dict(type='swin_mmdet.CheckpointHook'), dict(type='swin_mmdet.CheckpointHook'), True),
    (dict(type='MyCheckpointHook'), dict(type='MyCheckpointHook'), False),
    (None, None, False),
])  # fmt: skip
def test_a_run_is_stopped_only_where_our_hook_saves_it(saver: dict | None, after: dict | None, stops: bool):
    cfg = guarded(train_cfg=dict(max_epochs=1), default_hooks=dict(checkpoint=saver, timer=dict(type='Timer')))
    assert cfg.default_hooks.to_dict() == dict(checkpoint=after, timer=dict(type='Timer'))
    assert names(cfg) == [name for name in GUARDS if stops or name != 'StopHook']


def test_hooks_of_the_user_stay_and_a_check_that_a_guard_does_better_goes():
    own = [dict(type='CheckInvalidLossHook'), dict(type='MyHook'), dict(type='swin_mmdet.LostProcessHook', timeout=9)]
    cfg = guarded(train_cfg=dict(max_epochs=1), custom_hooks=own)
    assert names(cfg) == ['MyHook', 'LostProcessHook', *(name for name in GUARDS if name != 'LostProcessHook')]
    assert cfg.custom_hooks[1].timeout == 9
    assert names(guarded(train_cfg=dict(max_epochs=1), custom_hooks=None)) == GUARDS
