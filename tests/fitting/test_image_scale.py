"""The size of images: kept, larger for small objects, smaller for images that would be blown up."""

import numpy as np
import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.fitting.image_scale import fit_image_scale, rounded
from swin_mmdet.fitting.resize import resized
from swin_mmdet.fitting.statistics import Statistics


def data(image: tuple[int, int], side: float, images: int = 20) -> Statistics:
    """Images of one size with objects of one side."""
    boxes = np.tile([2.0, 2.0, 2 + side, 2 + side], (images, 1))
    return Statistics(np.tile(np.array(image, float), (images, 1)), boxes, np.arange(images), images)


def config(scale: tuple[int, int] = (1333, 800), pad: bool = False) -> Config:
    steps = [dict(type='Resize', scale=scale, keep_ratio=True)]
    steps += [dict(type='Pad', size=scale)] if pad else []
    loader = dict(dataset=dict(pipeline=steps))
    return Config(dict(model=dict(), train_dataloader=loader, test_dataloader=loader))


def test_images_are_measured_as_mmcv_resizes_them():
    found = resized(config(), data((640, 480), 30))
    assert found.factors[0] == pytest.approx(800 / 480)
    assert found.sizes[0].tolist() == [1067, 800]
    assert found.sides[0] == pytest.approx(30 * 800 / 480, rel=1e-3)
    assert resized(config(), data((4000, 800), 30)).sizes[0].tolist() == [1333, 267]


@pytest.mark.parametrize(
    ('image', 'side'),
    [((640, 480), 20), ((640, 480), 300), ((1920, 1080), 60), ((3000, 2000), 200), ((500, 375), 9)],
)
def test_the_recipes_size_is_kept_where_nothing_calls_for_another(image: tuple[int, int], side: float):
    setting, wanted = fit_image_scale(config(), data(image, side))
    assert wanted is None
    assert '1333x800 stays' in str(setting)


def test_small_objects_get_larger_images():
    # 24 px in an image of 2400 are 9.6 in one of 800 pixels, and 12 in one of 1000
    setting, wanted = fit_image_scale(config(), data((2700, 2000), 24))
    assert wanted == (992,)
    assert setting.new == '1653x992'
    assert 'smaller than 10 px' in str(setting)
    assert 'now 12 px' in str(setting)


def test_but_not_without_end():
    setting, wanted = fit_image_scale(config(), data((5400, 4000), 12))
    assert wanted == (1184,)
    assert 'cut large images into tiles' in str(setting)


def test_tiny_images_are_not_blown_up():
    setting, wanted = fit_image_scale(config(), data((200, 200), 60))
    # twice their own size
    assert wanted == (416,)
    assert 'enlarged 4 times' in str(setting)
    # unless their objects are small
    assert fit_image_scale(config(), data((200, 200), 8))[1] is None
    assert fit_image_scale(config(), data((200, 200), 12))[1] == (544,)


def test_what_cannot_follow_stays_and_is_said():
    setting, wanted = fit_image_scale(Config(dict(model=dict(), test_dataloader=dict(dataset=dict(pipeline=[])))),
                                      data((200, 200), 60))  # fmt: skip
    assert wanted is None
    assert 'has a Resize' in str(setting)
    setting, wanted = fit_image_scale(config((640, 640), pad=True), data((100, 100), 60))
    assert wanted == (256,)


def test_the_config_itself_is_left_alone():
    cfg = config()
    before = cfg.to_dict()
    fit_image_scale(cfg, data((200, 200), 60))
    assert cfg.to_dict() == before


@pytest.mark.parametrize(
    ('side', 'factor', 'found'), [(800, 1.01, 800), (800, 1.25, 992), (192, 1.5, 288), (64, 0.1, 32)]
)
def test_sides_are_multiples_of_the_coarsest_stride(side: int, factor: float, found: int):
    assert rounded(side, factor) == found
