"""How long a run is for how many images."""

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.fitting.length import fit_intervals, fit_length, fit_log, recipe_epochs, wanted_epochs

COCO = 117_266


@pytest.mark.parametrize(
    ('epochs', 'images', 'wanted'),
    [
        (12, COCO, 12),
        (12, 10 * COCO, 12),
        # eight times fewer are seen twice as often
        (12, COCO // 8, 24),
        (12, COCO // 1000, 120),
        (36, 100, 300),
        # a recipe that is longer itself
        (500, 100, 500),
    ],
)
def test_passes_grow_with_the_cube_root(epochs: int, images: int, wanted: int):
    assert wanted_epochs(epochs, COCO, images) == wanted


def in_iterations() -> Config:
    return Config(
        dict(
            train_cfg=dict(max_iters=500, val_interval=500),
            train_dataloader=dict(batch_size=8),
            auto_scale_lr=dict(base_batch_size=8),
            default_hooks=dict(checkpoint=dict(type='CheckpointHook', by_epoch=False, interval=100)),
        )
    )


def test_a_recipe_in_iterations_has_passes_too():
    assert recipe_epochs(in_iterations(), 1000) == 4
    setting, epochs = fit_length(in_iterations(), 125, 1000)
    assert epochs == 8
    assert str(setting).startswith('length: 4 epochs (500 iterations) -> 8 epochs: 125 images')


def test_a_config_of_unknown_data_keeps_its_length():
    setting, epochs = fit_length(in_iterations(), 125, None)
    assert epochs is None
    assert 'not known' in str(setting)


def test_a_run_is_evaluated_and_saved_twelve_times():
    cfg = in_iterations()
    cfg.train_cfg.update(max_iters=2400, dynamic_intervals=[(2000, 50)])
    assert 'every 500 iterations -> every 200 iterations' in str(fit_intervals(cfg, [], 1000))
    assert cfg.train_cfg == dict(max_iters=2400, val_interval=200)
    assert cfg.default_hooks.checkpoint.interval == 200
    assert fit_intervals(cfg, [], 1000) is None
    cfg.train_cfg.max_iters = 24000
    fit_intervals(cfg, ['train_cfg.val_interval', 'default_hooks'], 1000)
    assert (cfg.train_cfg.val_interval, cfg.default_hooks.checkpoint.interval) == (200, 200)


@pytest.mark.parametrize(('iterations', 'images', 'interval'), [(240, 800, 100), (240, 80, 20), (12, 800, 12)])
def test_a_short_run_is_evaluated_once_a_pass_over_the_data_or_at_its_end(iterations: int, images: int, interval: int):
    cfg = in_iterations()
    cfg.train_cfg.max_iters = iterations
    assert f'every {interval} iterations' in str(fit_intervals(cfg, [], images))
    assert (cfg.train_cfg.val_interval, cfg.default_hooks.checkpoint.interval) == (interval, interval)


@pytest.mark.parametrize(
    ('train_cfg', 'interval'), [(dict(max_iters=12), 1), (dict(max_iters=500), 10), (dict(max_epochs=100), 20)]
)
def test_a_short_run_has_fifty_lines_in_its_log(train_cfg: dict, interval: int):
    """Of epochs with 10 iterations."""
    cfg = in_iterations()
    cfg.train_cfg, cfg.default_hooks.logger = train_cfg, dict(type='LoggerHook', interval=50)
    assert f'every 50 iterations -> every {interval} iteration' in str(fit_log(cfg, [], 80))
    assert cfg.default_hooks.logger.interval == interval
    assert fit_log(cfg, [], 80) is None


def test_a_long_log_and_the_users_own_stay():
    cfg = in_iterations()
    assert fit_log(cfg, [], 80) is None
    cfg.default_hooks.logger = dict(type='LoggerHook', interval=50)
    assert fit_log(cfg, ['default_hooks.logger.interval'], 80) is None
    cfg.train_cfg.max_iters = 2500
    assert fit_log(cfg, [], 80) is None
