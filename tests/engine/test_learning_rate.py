"""Another learning rate, with what the config derives from its own."""

import pytest
from mmengine.config import Config

from swin_mmdet.engine.learning_rate import set_learning_rate
from swin_mmdet.engine.schedules import scale_rates
from swin_mmdet.errors import UserError


def config() -> Config:
    return Config(dict(
        optim_wrapper=dict(
            optimizer=dict(type='AdamW', lr=0.001),
            paramwise_cfg=dict(custom_keys=dict(backbone=dict(lr_mult=0.1), norm=dict(decay_mult=0.0))),
        ),
        param_scheduler=[
            dict(type='LinearLR', start_factor=0.1, by_epoch=False, end=100),
            dict(type='CosineAnnealingLR', eta_min=5e-5, T_max=50),
            dict(type='OneCycleLR', eta_max=0.01, total_steps=50),
            dict(type='CosineAnnealingMomentum', eta_min=0.8, T_max=50),
        ],
    ))  # fmt: skip


def test_rates_of_the_schedule_keep_their_share_and_parts_their_multipliers():
    cfg = config()
    changes = set_learning_rate(cfg, 0.0001)
    warm_up, cosine, cycle, momentum = cfg.param_scheduler
    assert cfg.optim_wrapper.optimizer.lr == 0.0001
    assert (cosine.eta_min, cycle.eta_max) == (pytest.approx(5e-6), pytest.approx(0.001))
    assert (warm_up.start_factor, momentum.eta_min) == (0.1, 0.8)
    assert changes == [
        'optim_wrapper.optimizer.lr 0.001 -> 0.0001',
        'CosineAnnealingLR eta_min 5e-05 -> 5e-06',
        'OneCycleLR eta_max 0.01 -> 0.001',
        'backbone trains at 0.1 of it, 1e-05',
    ]


def test_what_the_user_set_stays():
    cfg = config()
    set_learning_rate(cfg, 0.0001, {'param_scheduler.1.eta_min': 5e-5})
    assert (cfg.param_scheduler[1].eta_min, cfg.param_scheduler[2].eta_max) == (5e-5, pytest.approx(0.001))


def test_a_batch_of_its_own_scales_the_rates_of_the_schedule_too():
    """RTMDet's lowest rate, 5 % of its own, is above that of two images out of 128."""
    schedule = [dict(type='CosineAnnealingLR', eta_min=5e-5), dict(type='ReduceOnPlateauLR', min_value=[1e-6, 0.0])]
    scale_rates(schedule, 2 / 128)
    assert schedule[0]['eta_min'] == pytest.approx(0.05 * 0.001 / 64)
    assert schedule[1]['min_value'] == pytest.approx([1e-6 / 64, 0.0])


@pytest.mark.parametrize(
    'wrapper',
    [
        dict(optimizer=dict(type='Prodigy')),
        dict(constructor='OfTwo', generator=dict(optimizer=dict(type='Adam', lr=0.1))),
    ],
)
def test_a_config_without_a_single_rate_says_so(wrapper: dict):
    with pytest.raises(UserError, match=r'--lr: the config has no optim_wrapper\.optimizer\.lr'):
        set_learning_rate(Config(dict(optim_wrapper=wrapper)), 0.1)
