"""A package that is missing is named before anything slow starts."""

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.config import packages


def check(monkeypatch: pytest.MonkeyPatch, installed: bool, **parts: object) -> None:
    monkeypatch.setattr(packages, 'find_spec', lambda _name: object() if installed else None)
    packages.check_packages(Config(parts))


def test_a_transform_inside_others(monkeypatch: pytest.MonkeyPatch, user_error: type[Exception]):
    boost = dict(type='swin_mmdet.InstaBoost')
    pipeline = [dict(type='RandomChoice', transforms=[[boost], [dict(type='Resize')]])]
    loader = dict(dataset=dict(dataset=dict(pipeline=pipeline)))
    check(monkeypatch, True, train_dataloader=loader)
    with pytest.raises(user_error, match='InstaBoost of this config needs the package instaboostfast: pip'):
        check(monkeypatch, False, train_dataloader=loader)


def test_one_metric_of_several(monkeypatch: pytest.MonkeyPatch, user_error: type[Exception]):
    metrics = [dict(type='CocoMetric'), dict(type='CocoPanopticMetric')]
    with pytest.raises(user_error, match=r'CocoPanopticMetric .* panopticapi: pip install git'):
        check(monkeypatch, False, val_evaluator=metrics)


def test_checkpointing_in_an_encoder(monkeypatch: pytest.MonkeyPatch, user_error: type[Exception]):
    model = dict(encoder=dict(num_layers=6, num_cp=6))
    with pytest.raises(user_error, match=r'num_cp=6 of this config needs the package fairscale.*set it to -1'):
        check(monkeypatch, False, model=model)
    check(monkeypatch, False, model=model | {'type': 'swin_mmdet.DINO'})
    check(monkeypatch, False, model=model, custom_imports={'imports': ['swin_mmdet.drop_in']})
    model['encoder']['num_cp'] = -1
    check(monkeypatch, False, model=model)


def test_a_config_that_needs_none(monkeypatch: pytest.MonkeyPatch):
    check(monkeypatch, False, model=dict(type='MaskRCNN'), val_evaluator=dict(type='swin_mmdet.CocoMetric'))
