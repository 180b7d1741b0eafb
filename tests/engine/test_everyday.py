"""Everyday options in a config: what each changes, what it leaves, and the line that says so."""

import pytest
from mmengine.config import Config

from swin_mmdet.config.everyday import EverydayOptions
from swin_mmdet.engine.everyday import apply_everyday, apply_length, follow_settings, recipe_length
from swin_mmdet.engine.run_length import RunLength
from swin_mmdet.errors import UserError

STEPS = dict(type='MultiStepLR', by_epoch=True, begin=0, end=12, milestones=[8, 11], gamma=0.1)
WARM_UP = dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500)


def config(**changes) -> Config:
    return Config(dict(
        auto_scale_lr=dict(base_batch_size=16, enable=False),
        train_dataloader=dict(batch_size=2, num_workers=2, sampler=dict(type='DefaultSampler', shuffle=True)),
        val_dataloader=dict(batch_size=1, num_workers=2),
        optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4)),
        train_cfg=dict(type='EpochBasedTrainLoop', max_epochs=12, val_interval=1),
        param_scheduler=[dict(WARM_UP), dict(STEPS)],
        **changes,
    ))  # fmt: skip


def everyday(cfg, settings=None, scales_rate=False, **options):
    return apply_everyday(cfg, EverydayOptions(**options), settings or {}, scales_rate)


def test_nothing_wanted_is_nothing_changed():
    cfg, before = config(), config().to_dict()
    assert everyday(cfg) == apply_length(cfg, EverydayOptions(), {}) == []
    assert cfg.to_dict() == before


def test_another_batch_scales_the_rate_of_the_recipe():
    cfg = config()
    (line,) = everyday(cfg, batch_size=4)
    assert line.startswith('--batch-size 4: train_dataloader.batch_size 2 -> 4; the learning rate is scaled from')
    assert "the recipe's batch of 16 (--lr sets it)" in line
    assert (cfg.train_dataloader.batch_size, cfg.auto_scale_lr.enable) == (4, True)


def test_a_rate_of_the_user_is_not_scaled():
    cfg = config()
    cfg.auto_scale_lr.enable = True
    batch, rate = everyday(cfg, batch_size=4, lr=2e-5)
    assert 'scaled' not in batch
    assert rate.startswith('--lr 2e-05: optim_wrapper.optimizer.lr 0.0001 -> 2e-05')
    assert rate.endswith('auto_scale_lr.enable True -> False')
    assert (cfg.optim_wrapper.optimizer.lr, cfg.auto_scale_lr.enable) == (2e-5, False)


def test_a_rate_that_is_scaled_in_any_case_stays_the_recipes():
    cfg = config()
    batch, rate = everyday(cfg, batch_size=4, lr=2e-5, scales_rate=True)
    assert batch == '--batch-size 4: train_dataloader.batch_size 2 -> 4'
    assert rate.endswith("of the recipe's batch, --auto-scale-lr scales it to yours")
    assert cfg.auto_scale_lr.enable is False
    assert everyday(config(), batch_size=2, scales_rate=True) == ['--batch-size 2: nothing changes']


@pytest.mark.parametrize('scaling', [None, {}, dict(enable=True)])
def test_without_the_batch_of_a_recipe_the_rate_stays(scaling):
    cfg = config()
    cfg.auto_scale_lr = scaling
    assert 'the learning rate stays: no auto_scale_lr.base_batch_size' in everyday(cfg, batch_size=4)[0]
    assert cfg.auto_scale_lr == scaling
    assert 'stays' not in everyday(cfg, batch_size=8, lr=0.1)[0]


def test_settings_of_the_user_are_stronger():
    cfg = config()
    cfg.param_scheduler.append(dict(type='CosineAnnealingLR', eta_min=1e-5, T_max=12))
    everyday(cfg, {'param_scheduler.2.eta_min': 1e-5}, lr=2e-5)
    assert cfg.param_scheduler[2]['eta_min'] == 1e-5


def test_a_size_of_images():
    cfg = config(model=dict(type='MaskRCNN'))
    for name in ('train_dataloader', 'val_dataloader'):
        cfg[name].dataset = dict(type='CocoDataset', pipeline=[dict(type='Resize', scale=(1333, 800))])
    one, two = everyday(cfg, img_scale=(400,)), everyday(cfg, img_scale=(320, 320))
    assert one[0].startswith('--img-scale 400: ')
    assert two[0].startswith('--img-scale 320 320: ')
    assert cfg.val_dataloader.dataset.pipeline[0].scale == (320, 320)


def test_workers_and_seed():
    cfg = config(randomness=dict(deterministic=True))
    assert everyday(cfg, workers=0, seed=0) == [
        '--workers 0: num_workers of train 2 -> 0; num_workers of val 2 -> 0', '--seed 0: randomness.seed none -> 0',
    ]  # fmt: skip
    assert (cfg.train_dataloader.num_workers, cfg.val_dataloader.num_workers) == (0, 0)
    assert cfg.randomness == dict(deterministic=True, seed=0)
    assert everyday(cfg, seed=7) == ['--seed 7: randomness.seed 0 -> 7']


def test_a_length_in_steps_of_the_optimizer():
    cfg = config()
    cfg.train_cfg = dict(type='IterBasedTrainLoop', max_iters=600, val_interval=100)
    cfg.param_scheduler = []
    cfg.optim_wrapper.accumulative_counts = 3
    (line,) = apply_length(cfg, EverydayOptions(iters=100), {})
    assert line.startswith('--iters 100: train_cfg.max_iters 600 -> 300')
    assert cfg.train_cfg.max_iters == 300


def test_a_length_in_epochs():
    cfg = config()
    (line,) = apply_length(cfg, EverydayOptions(epochs=24), {})
    assert line.startswith('--epochs 24: train_cfg.max_epochs 12 -> 24; ')
    assert 'MultiStepLR milestones 8, 11 -> 16, 22' in line
    assert cfg.param_scheduler[1].milestones == [16, 22]
    # counted in what the run does not count: the runner bounds it, where an epoch is known
    assert cfg.param_scheduler[0] == WARM_UP


def test_what_follows_a_length_that_was_set_by_hand():
    cfg = config()
    cfg.train_cfg.max_epochs = 24
    (line,) = follow_settings(cfg, {'train_cfg.max_epochs': 24}, RunLength(12, True))
    assert line.startswith('--cfg-options train_cfg.max_epochs 12 -> 24: ')
    assert 'MultiStepLR milestones 8, 11 -> 16, 22' in line
    assert 'keep_warm_up' not in cfg
    assert follow_settings(config(), {}, None) == follow_settings(config(), {}, RunLength(12, True)) == []


@pytest.mark.parametrize(
    ('key', 'keeps'),
    [('param_scheduler.0.end', True), ('param_scheduler', True), ('param_scheduler.1.end', False), ('model', False)],
)
def test_a_warm_up_that_was_set_by_hand_is_kept(key, keeps):
    cfg = config()
    follow_settings(cfg, {key: 1}, None)
    assert cfg.get('keep_warm_up', False) is keeps


def test_a_runner_of_another_kind_is_not_looked_after():
    (line,) = follow_settings(config(runner_type='Mine'), {}, None)
    assert line == 'runner_type=Mine: whether warm-up and schedule fit the run is not checked'


def test_the_length_of_the_recipe_is_read_where_options_may_change_it(tmp_path):
    path = tmp_path / 'recipe.py'
    path.write_text("train_cfg = dict(type='EpochBasedTrainLoop', max_epochs=12)\n")
    assert recipe_length(str(path), {'model.x': 1}) is None
    assert recipe_length(str(path), {'train_cfg.max_epochs': 24}) == RunLength(12, True)
    with pytest.raises(UserError, match=r'max_iters=90: this config counts epochs \(max_epochs=12\); --iters 90 conv'):
        recipe_length(str(path), {'train_cfg.max_iters': 90})
    both = {'train_cfg.max_iters': 90, 'train_cfg.type': 'IterBasedTrainLoop'}
    assert recipe_length(str(path), both) == RunLength(12, True)
