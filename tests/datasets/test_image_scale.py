"""Sizes of recipes: each transform in the order of its sides, nested and wrapped pipelines, and what cannot follow."""

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.datasets.image_scale import scale_of_test, set_image_scale
from swin_mmdet.errors import UserError


def config(train: list, test: list | None = None, **changes) -> Config:
    test = [dict(type='Resize', scale=(1333, 800), keep_ratio=True)] if test is None else test
    cfg = Config(dict(
        train_dataloader=dict(dataset=dict(type='CocoDataset', pipeline=train)),
        val_dataloader=dict(dataset=dict(type='CocoDataset', pipeline=test)),
        test_dataloader=dict(dataset=dict(type='CocoDataset', pipeline=test)),
        model=dict(type='MaskRCNN'),
    ))  # fmt: skip
    for key, value in changes.items():
        cfg[key] = value
    return cfg


def square(step: dict, **changes) -> Config:
    return config([step], [dict(type='Resize', scale=(640, 640), keep_ratio=True)], **changes)


@pytest.mark.parametrize(
    ('step', 'half'),
    [
        (dict(type='Resize', scale=(1333, 800)), dict(scale=(666, 400))),
        (dict(type='mmdet.Resize', scale=(800, 1333)), dict(scale=(400, 666))),
        (dict(type='FixScaleResize', scale=(800, 1333)), dict(scale=(400, 666))),
        (dict(type='RandomResize', scale=[(1333, 480), (1333, 960)]), dict(scale=[(666, 240), (666, 480)])),
        (dict(type='RandomChoiceResize', scales=[(480, 1333), (400, 4200)]), dict(scales=[(240, 666), (200, 2100)])),
        (dict(type='ResizeShortestEdge', scale=800, max_size=1333), dict(scale=400, max_size=666)),
        (dict(type='FixShapeResize', width=1333, height=800), dict(width=666, height=400)),
        (dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600)), dict(crop_size=(192, 300))),
        (dict(type='RandomCrop', crop_type='relative_range', crop_size=(0.3, 0.3)), dict(crop_size=(0.3, 0.3))),
        (dict(type='RandomCrop', crop_size=(1024, 1024)), dict(crop_size=(512, 512))),
        (dict(type='Pad', size_divisor=32), dict(size_divisor=32)),
        (dict(type='Resize', scale_factor=0.5), dict(scale_factor=0.5)),
        (dict(type='RandomAffine', border=(-320, -320)), dict(border=(-160, -160))),
        (dict(type='MultiScaleFlipAug', img_scale=[(1333, 800), (2000, 1200)]),
         dict(img_scale=[(666, 400), (1000, 600)])),
    ],
)  # fmt: skip
def test_half_the_short_side(step: dict, half: dict):
    cfg = config([step])
    set_image_scale(cfg, (400,))
    found = cfg.train_dataloader.dataset.pipeline[0]
    assert {key: found[key] for key in half} == half
    assert cfg.test_dataloader.dataset.pipeline[0].scale == cfg.val_dataloader.dataset.pipeline[0].scale == (666, 400)


@pytest.mark.parametrize(
    ('step', 'expected'),
    [
        (dict(type='RandomCrop', crop_size=(640, 640)), dict(crop_size=(1280, 320))),
        (dict(type='Pad', size=(640, 640)), dict(size=(1280, 320))),
        (dict(type='CachedMosaic', img_scale=(640, 640)), dict(img_scale=(1280, 320))),
        (dict(type='RandomResize', scale=(1280, 1280), ratio_range=(0.1, 2.0)), dict(scale=(2560, 640))),
    ],
)
def test_a_square_recipe_takes_width_and_height(step: dict, expected: dict):
    cfg = square(step)
    cfg.model.data_preprocessor = dict(batch_augments=[dict(type='BatchFixedSizePad', size=(640, 640))])
    set_image_scale(cfg, (1280, 320))
    found = cfg.train_dataloader.dataset.pipeline[0]
    assert {key: found[key] for key in expected} == expected
    # height first
    assert cfg.model.data_preprocessor.batch_augments[0].size == (320, 1280)


@pytest.mark.parametrize('sides', [(1000, 600), (600, 1000)])
def test_both_sides_in_any_order(sides: tuple[int, int]):
    cfg = config([dict(type='RandomChoiceResize', scales=[(480, 1333), (800, 1333)])])
    set_image_scale(cfg, sides)
    assert cfg.train_dataloader.dataset.pipeline[0].scales == [(360, 1000), (600, 1000)]
    assert cfg.test_dataloader.dataset.pipeline[0].scale == (1000, 600)


def test_every_place_of_a_pipeline():
    """Wrappers of data sets, branches, the pipeline of a later stage, test-time augmentation, names of the config."""
    resize = [dict(type='Resize', scale=(640, 640))]
    inner = dict(type='CocoDataset', pipeline=[dict(type='RandomChoice', transforms=[resize, resize])])
    cfg = square(
        dict(type='MixUp', img_scale=(640, 640)),
        custom_hooks=[dict(type='PipelineSwitchHook', switch_epoch=9, switch_pipeline=resize)],
        tta_pipeline=[dict(type='TestTimeAug', transforms=[[dict(type='Resize', scale=(960, 960))]])],
        train_pipeline=resize,
    )
    repeated = dict(type='RepeatDataset', times=2, dataset=inner)
    cfg.train_dataloader.dataset = dict(
        type='MultiImageMixDataset', pipeline=[dict(type='Mosaic', img_scale=(640, 640))],
        dataset=dict(type='ConcatDataset', datasets=[repeated, inner]),
    )  # fmt: skip
    changes = set_image_scale(cfg, (320,))
    assert '640' not in str(cfg)
    assert cfg.tta_pipeline[0].transforms[0][0].scale == (480, 480)
    assert changes[0] == 'test images 640x640 -> 320x320'
    assert 'Resize 960x960 -> 480x480' in changes


def test_fixed_sizes_of_another_test_are_multiples_of_the_stride():
    """Mask2Former trains on squares of 1024 and tests at 1333x800."""
    cfg = config([dict(type='RandomResize', scale=(1024, 1024), ratio_range=(0.1, 2.0)),
                  dict(type='RandomCrop', crop_size=(1024, 1024))])  # fmt: skip
    set_image_scale(cfg, (640,))
    resize, crop = cfg.train_dataloader.dataset.pipeline
    assert resize.scale == crop.crop_size == (832, 832)


def test_the_same_size_changes_nothing():
    cfg = config([dict(type='Resize', scale=(1333, 800))])
    before = cfg.to_dict()
    assert set_image_scale(cfg, (1333, 800)) == set_image_scale(cfg, (800,)) == []
    assert cfg.to_dict() == before


def test_a_transform_of_the_users_own_is_named():
    cfg = config([dict(type='MyResize', size=(512, 512)), dict(type='Resize', scale=(1333, 800))])
    assert 'MyResize.size=(512, 512) stays: it is not known what it means' in set_image_scale(cfg, (400,))


@pytest.mark.parametrize(
    ('changes', 'sides', 'words'),
    [
        (dict(), (8,), '--img-scale 8: the sides of images lie between 32 and 16384'),
        (dict(), (99999, 640), '--img-scale 99999x640: the sides'),
        (dict(model=dict(anchor_generator=dict(type='SSDAnchorGenerator', input_size=300))), (640,), 'input_size=300'),
        (dict(train_pipeline=[dict(type='Albu', transforms=[])]), (640,), 'Albu has sizes of another library'),
    ],
)
def test_what_cannot_be(changes: dict, sides: tuple, words: str):
    with pytest.raises(UserError, match=words):
        set_image_scale(config([], **changes), sides)


def test_a_padded_recipe_needs_a_multiple_of_its_largest_stride():
    test = [dict(type='Resize', scale=(640, 640)), dict(type='Pad', size=(640, 640))]
    cfg = config([], test, model=dict(anchor_generator=dict(strides=[8, 16, 32, 64])))
    with pytest.raises(UserError, match=r'a multiple of 64: take 640 or 704$'):
        set_image_scale(cfg, (672,))
    set_image_scale(cfg, (704,))


def test_a_config_without_a_resize():
    with pytest.raises(UserError, match='no pipeline of this config has a Resize'):
        set_image_scale(config([], []), (640,))


@pytest.mark.parametrize(
    ('scale', 'expected'),
    [((1333, 800), (1333, 800)), (640, (640, 640)), ([(9, 9), (20, 5), (4, 8)], (20, 5))],
    ids=str,
)
def test_the_size_of_tests_is_the_largest_of_their_resize(scale, expected):
    assert scale_of_test(config([], [dict(type='Resize', scale=scale)])) == expected
