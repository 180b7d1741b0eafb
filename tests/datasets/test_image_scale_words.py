"""What a new size changes, whole: the sentences and every size in the config after it."""

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.datasets.image_scale import ImageScale, largest_sizes, scale_of_test, set_image_scale
from swin_mmdet.errors import UserError

SQUARE, OBLONG = (640, 640), (1333, 800)
# one of every kind
STEPS = [
    dict(type='Resize', scale=OBLONG), dict(type='FixScaleResize', scale=(500, 500)),
    dict(type='RandomResize', scale=[(1333, 480), (1333, 960)]), dict(type='RandomChoiceResize', scales=[480, 640]),
    dict(type='MultiScaleFlipAug', img_scale=OBLONG, scales=[(1, 1)]), dict(type='Pad', size=(1344, 800)),
    dict(type='Mosaic', img_scale=(96, 64)), dict(type='CachedMosaic', img_scale=(96, 64)),
    dict(type='MixUp', img_scale=(96, 64)), dict(type='CachedMixUp', img_scale=(96, 64)),
    dict(type='RandomAffine', border=(-48, -32)), dict(type='BatchResize', scale=(96, 64)),
    dict(type='RandomCrop', crop_size=(96, 64)), dict(type='CenterCrop', crop_size=96),
    dict(type='RandomCenterCropPad', crop_size=(96, 64)), dict(type='BatchFixedSizePad', size=(96, 64)),
    dict(type='ResizeShortestEdge', scale=800, max_size=1333),
    dict(type='BatchSyncRandomResize', random_size_range=(480, 800)), dict(type='FixShapeResize', width=96, height=64),
    dict(type='RandomCrop', crop_type='absolute_range', crop_size=(384, 600)),
    dict(type='RandomCrop', crop_type='relative', crop_size=(96, 64)), dict(type='RandomFlip', prob=0.5),
    dict(type='Mine', size=(512, 31)), dict(type='Mine', size=[(512, 32)], scale=31, input_size=33, crop_size=()),
]  # fmt: skip


def config(train: list, scale: object = OBLONG, **more) -> Config:
    test = [dict(type='Resize', scale=scale)] if scale else []
    return Config(dict(
        train_dataloader=dict(dataset=dict(pipeline=train)), test_dataloader=dict(dataset=dict(pipeline=test)),
        model=dict(type='MaskRCNN'), **more,
    ))  # fmt: skip


def test_every_kind_of_step():
    cfg = config(STEPS)
    assert set_image_scale(cfg, (400,)) == [
        'test images 1333x800 -> 666x400', 'FixScaleResize 500x500 -> 250x250', 'RandomResize 1333x480..1333x960 -> '
        '666x240..666x480', 'RandomChoiceResize 480x640 -> 240x320', 'MultiScaleFlipAug 1x1 -> 1x1',
        'Pad 1344x800 -> 672x400', 'Mosaic 96x64 -> 48x32', 'CachedMosaic 96x64 -> 48x32', 'MixUp 96x64 -> 48x32',
        'CachedMixUp 96x64 -> 48x32', 'RandomAffine -48x-32 -> -24x-16', 'BatchResize 96x64 -> 48x32',
        'RandomCrop 96x64..384x600 -> 48x32..192x300', 'CenterCrop 96 -> 48', 'RandomCenterCropPad 96x64 -> 48x32',
        'BatchFixedSizePad 96x64 -> 48x32', 'ResizeShortestEdge 800..1333 -> 400..666',
        'BatchSyncRandomResize 480x800 -> 240x400', 'FixShapeResize 64..96 -> 32..48',
        'Mine.input_size=33 stays: it is not known what it means',
        'Mine.size=[(512, 32)] stays: it is not known what it means',
    ]  # fmt: skip
    steps = cfg.train_dataloader.dataset.pipeline
    assert [step.get('size') or step.get('crop_size') for step in steps if step.type in ('Mine', 'RandomCrop')] == [
        (48, 32), (192, 300), (96, 64), (512, 31), [(512, 32)]]  # fmt: skip
    assert [(step.scale, step.max_size) for step in steps if step.type == 'ResizeShortestEdge'] == [(400, 666)]


@pytest.mark.parametrize(
    ('old', 'new', 'pair', 'high', 'expected'),
    [
        # the long side follows the long one, whichever stands first
        *((OBLONG, (1000, 400), (100, 50), False, (75, 25)), (OBLONG, (1000, 400), (50, 100), False, (25, 75))),
        *((OBLONG, (1000, 400), (-100, 50), False, (-75, 25)), (OBLONG, (1000, 400), (50, 50), False, (25, 25))),
        # a square recipe takes the sides as they were given, width first or height first
        *((SQUARE, (1280, 320), (64, 64), False, (128, 32)), (SQUARE, (1280, 320), (64, 64), True, (32, 128))),
        *((SQUARE, (320, 1280), (64, 32), False, (128, 16)), (SQUARE, (1280, 320), (-20, -20), False, (-40, -10))),
        # never less than a pixel; fixed squares of multiples of 32 stay such
        *((OBLONG, (13, 8), (64, 10), False, (1, 1)), (OBLONG, (1333, 790), (64, 64), False, (64, 64))),
        *((OBLONG, (1333, 410), (96, 96), False, (64, 64)), (OBLONG, (133, 80.5), (96, 96), False, (32, 32))),
        *((OBLONG, (1333, 410), (95, 95), False, (49, 49)), (OBLONG, (1333, 400), (96, 96), False, (48, 48))),
    ],
    ids=str,
)
def test_pairs(old: tuple, new: tuple, pair: tuple, high: bool, expected: tuple):
    assert ImageScale(old, new).pair(pair, high) == expected


@pytest.mark.parametrize('sides', [(31,), (16385,), (31, 640), (640, 16385)])
def test_sides_that_no_image_has(sides: tuple):
    text = 'x'.join(map(str, sides))
    with pytest.raises(UserError) as caught:
        set_image_scale(config([], SQUARE), sides)
    assert str(caught.value) == f'--img-scale {text}: the sides of images lie between 32 and 16384 pixels'


@pytest.mark.parametrize('sides', [(32,), (16384,)])
def test_sides_at_the_end_of_the_range(sides: tuple):
    cfg = config([], SQUARE)
    set_image_scale(cfg, sides)
    assert cfg.test_dataloader.dataset.pipeline[0].scale == sides * 2


@pytest.mark.parametrize(
    ('strides', 'sides', 'words'),
    [
        ([8], (48,), 'a multiple of 32: take 32 or 64'),
        ([8], (65, 129), 'a multiple of 32: take 64 128 or 96 160'),
        ([8, 128], (64,), 'a multiple of 128: take 128 or 256'),
        (['x', [64]], (48,), 'a multiple of 32: take 32 or 64'),
        ([8], (96,), None),
    ],
)
def test_sizes_to_which_images_are_padded(strides: list, sides: tuple, words: str | None):
    cfg = config([], SQUARE)
    cfg.test_dataloader.dataset.pipeline.append(dict(type='Pad', size=SQUARE))
    cfg.model.neck = dict(strides=strides)
    if words is None:
        assert set_image_scale(cfg, sides) == ['test images 640x640 -> 96x96']
        return
    with pytest.raises(UserError) as caught:
        set_image_scale(cfg, sides)
    text = 'x'.join(map(str, sides))
    assert str(caught.value) == (
        f'--img-scale {text}: this recipe pads its images to that size, which must be {words}'
    )


@pytest.mark.parametrize(
    ('scale', 'train', 'expected'),
    [
        ((9, 5), [], (9, 5)), (640, [], (640, 640)), ([(9, 9), (20, 5)], [], (20, 5)),
        (None, [dict(type='FixShapeResize', width=7, height=5)], (7, 5)),
        (None, [dict(type='ResizeShortestEdge', scale=400)], (400, 400)),
        (None, [dict(type='RandomChoiceResize', scales=[(1, 9), (4, 4)])], (4, 4)),
        (None, [dict(type='Mosaic', img_scale=(9, 9)), dict(type='mmdet.RandomResize', scale=(3, 2))], (3, 2)),
    ],
    ids=str,
)  # fmt: skip
def test_the_size_of_the_test_or_else_of_the_training(scale: object, train: list, expected: tuple):
    assert scale_of_test(config(train, scale)) == expected


def test_the_largest_of_random_sizes():
    steps = [
        dict(type='RandomChoiceResize', scales=[(480, 1333), (800, 1333), (640, 1333)]),
        dict(type='RandomResize', scale=((1333, 480), (1333, 960))), dict(type='Resize', scale=(1333, 800)),
        dict(type='RandomResize', scale=(640, 640), ratio_range=(0.1, 2.0)),
    ]  # fmt: skip
    largest_sizes(steps)
    assert steps == [
        dict(type='RandomChoiceResize', scales=[(800, 1333)] * 3),
        dict(type='RandomResize', scale=[(1333, 960)] * 2), dict(type='Resize', scale=(1333, 800)),
        dict(type='RandomResize', scale=(640, 640), ratio_range=(2.0, 2.0)),
    ]  # fmt: skip


def test_pipelines_in_every_place_follow_once():
    resize, shared = [dict(type='Resize', scale=(640, 640))], dict(type='Resize', scale=(320, 320))
    cfg = config([shared, shared], SQUARE, custom_hooks=[
        dict(type='Switch', switch_pipeline=resize), dict(type='Other', pipeline=[dict(type='Resize', scale=(9, 9))])],
        train_pipeline_stage2=[dict(type='Resize', scale=(640, 640))],
        my_pipeline=[dict(type='Resize', scale=(80, 80))], other=[dict(type='Resize', scale=(640, 640))])  # fmt: skip
    cfg.model.data_preprocessor = dict(batch_augments=[dict(type='BatchResize', scale=(640, 640))])
    assert set_image_scale(cfg, (320,)) == [
        'test images 640x640 -> 320x320', 'Resize 80x80..320x320 -> 40x40..160x160']
    steps = [cfg.custom_hooks[0].switch_pipeline[0], cfg.train_pipeline_stage2[0], cfg.my_pipeline[0],
             cfg.model.data_preprocessor.batch_augments[0], cfg.other[0], cfg.custom_hooks[1].pipeline[0]]  # fmt: skip
    assert [one.scale for one in steps] == [(320, 320), (320, 320), (40, 40), (320, 320), (640, 640), (9, 9)]
