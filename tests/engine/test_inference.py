"""What a detector is given with each image."""

from types import SimpleNamespace

import numpy as np
import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.utils import register_all_modules
from mmengine.config import Config

from swin_mmdet.engine.inference import detect_plainly

KEYS = ('img_id', 'ori_shape', 'img_shape', 'scale_factor', 'text', 'custom_entities')
PIPELINE = [
    dict(type='LoadImageFromFile'),
    dict(type='Resize', scale=(64, 64), keep_ratio=True),
    dict(type='PackDetInputs', meta_keys=KEYS),
]


@pytest.fixture
def given() -> list[dict]:
    return []


def stand_in(given: list[dict], **dataset: object) -> SimpleNamespace:
    """A model that keeps what it is given."""
    register_all_modules()
    cfg = Config(dict(test_dataloader=dict(dataset=dict(pipeline=PIPELINE, **dataset))))

    def test_step(data: dict) -> list:
        given.append(data)
        return data['data_samples']

    return SimpleNamespace(cfg=cfg, dataset_meta=dict(classes=('cat', 'dog')), test_step=test_step)


def test_a_batch_has_each_image_as_the_pipeline_leaves_it(given: list[dict]):
    samples = detect_plainly(stand_in(given))([np.zeros((32, 16, 3), np.uint8), np.zeros((64, 64, 3), np.uint8)])
    assert [image.shape for image in given[0]['inputs']] == [(3, 64, 32), (3, 64, 64)]
    assert [sample.ori_shape for sample in samples] == [(32, 16), (64, 64)]
    assert 'text' not in samples[0]


def test_a_detector_that_reads_its_classes_is_told_them(given: list[dict]):
    """As the data set of a test tells them: Grounding DINO."""
    (sample,) = detect_plainly(stand_in(given, return_classes=True))([np.zeros((32, 16, 3), np.uint8)])
    assert sample.text == ('cat', 'dog')
    assert sample.custom_entities is True
