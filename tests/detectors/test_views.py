"""Views of test-time augmentation in a config."""

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.detectors.views import use_tta, views_of
from swin_mmdet.errors import UserError


def test_without_a_resize_there_are_no_scales():
    pipeline = Config(dict(pipeline=[dict(type='LoadImageFromFile'), dict(type='swin_mmdet.PackDetInputs')])).pipeline
    with pytest.raises(UserError, match=r"needs a Resize .* got \['LoadImageFromFile', 'PackDetInputs'\]"):
        views_of(pipeline)


def test_views_keep_the_settings_of_the_pipeline():
    pipeline = [
        dict(type='LoadImageFromFile', to_float32=True),
        dict(type='mmdet.Resize', scale=(640, 480), keep_ratio=False),
        dict(type='Pad', size_divisor=64),
        dict(type='PackDetInputs', meta_keys=('img_id',)),
    ]
    first, views = views_of(Config(dict(pipeline=pipeline)).pipeline)
    resizes, flips, pad, pack = views.transforms
    assert first == pipeline[0]
    assert [(step.type, step.scale, step.keep_ratio) for step in resizes] == [
        ('mmdet.Resize', (480, 360), False), ('mmdet.Resize', (640, 480), False), ('mmdet.Resize', (800, 600), False),
    ]  # fmt: skip
    assert [flip.prob for flip in flips] == [0, 1]
    assert pad == [pipeline[2]]
    assert {'flip', 'flip_direction', 'scale_factor', 'ori_shape', 'img_shape'} <= set(pack[0].meta_keys)


STEPS = [dict(type='LoadImageFromFile'), dict(type='Resize', scale=(64, 48)), dict(type='PackDetInputs')]


def test_every_pipeline_of_the_test_and_the_model_around_the_detector():
    inner = dict(type='CocoDataset', pipeline=STEPS)
    cfg = Config(dict(
        model=dict(type='MaskRCNN'), val_dataloader=dict(dataset=inner),
        test_dataloader=dict(dataset=dict(type='ConcatDataset', datasets=[inner, inner])),
    ))  # fmt: skip
    use_tta(cfg)
    assert cfg.model == dict(type='swin_mmdet.DetTTAModel', module=dict(type='MaskRCNN'))
    for one in cfg.test_dataloader.dataset.datasets:
        first, views = one.pipeline
        assert (first, views.type, len(views.transforms)) == (STEPS[0], 'TestTimeAug', 3)
        resizes, flips, pack = views.transforms
        assert [step.scale for step in resizes] == [(48, 36), (64, 48), (80, 60)]
        assert [(step.type, step.prob) for step in flips] == [
            ('swin_mmdet.RandomFlip', 0.0), ('swin_mmdet.RandomFlip', 1.0)]  # fmt: skip
        assert pack == [dict(type='PackDetInputs', meta_keys=(
            'img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction'))]  # fmt: skip
    assert cfg.val_dataloader.dataset.pipeline == STEPS


def test_views_and_a_model_of_the_config_are_taken():
    cfg = Config(dict(
        model=dict(type='MaskRCNN'), test_dataloader=dict(dataset=dict(pipeline=STEPS)), tta_pipeline=STEPS[:1],
        tta_model=dict(type='Mine', tta_cfg=dict(max_per_img=3)),
    ))  # fmt: skip
    use_tta(cfg)
    assert cfg.model == dict(type='Mine', tta_cfg=dict(max_per_img=3), module=dict(type='MaskRCNN'))
    assert cfg.test_dataloader.dataset.pipeline == STEPS[:1]
