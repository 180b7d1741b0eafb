"""As many detections are kept as images have objects."""

import json
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.fitting.detections import fit_detections


@pytest.fixture
def config(tmp_path: Path) -> Config:
    """Of 120 objects in an image of validation, and 3 in one of training; the first of each is a crowd."""
    parts = {}
    for split, number in (('train', 4), ('val', 121)):
        annotations = [
            {'id': id, 'image_id': 1, 'category_id': 1, 'iscrowd': int(id == 1), 'area': 4, 'bbox': [id % 60, 1, 2, 2]}
            for id in range(1, number + 1)
        ]
        content = dict(
            images=[dict(id=1, file_name='1.png', width=64, height=64)],
            annotations=annotations,
            categories=[dict(id=1, name='one')],
        )
        path = tmp_path / f'{split}.json'
        path.write_text(json.dumps(content))
        dataset = dict(type='CocoDataset', ann_file=str(path), data_prefix=dict(img=str(tmp_path)))
        parts[f'{split}_dataloader'] = dict(dataset=dataset)
    test_cfg = dict(rpn=dict(max_per_img=20), rcnn=dict(max_per_img=100))
    return Config(dict(model=dict(test_cfg=test_cfg), **parts))


def test_those_of_the_most_crowded_image_of_any_split(config: Config):
    (setting,) = fit_detections(config, [])
    assert config.model.test_cfg == dict(rpn=dict(max_per_img=20), rcnn=dict(max_per_img=150))
    assert str(setting) == (
        'detections of an image: 100 -> 150: images have up to 120 objects '
        '(--cfg-options model.test_cfg.rcnn.max_per_img=... sets it)'
    )
    # which is enough
    assert fit_detections(config, []) == []


@pytest.mark.parametrize('queries', [110, 60])
def test_queries_find_no_more_than_there_are(config: Config, queries: int):
    """And a recipe that keeps more than these, several classes of each, goes on to."""
    config.model = dict(test_cfg=dict(max_per_image=100), head=dict(num_queries=queries))
    (setting,) = fit_detections(config, [])
    assert config.model.test_cfg == dict(max_per_image=max(queries, 100))
    assert f'up to 120 objects, and the {queries} queries of the model find no more' in str(setting)


def test_what_a_user_has_set_stays(config: Config):
    assert fit_detections(config, ['model.test_cfg.rcnn.max_per_img']) == []
    assert config.model.test_cfg.rcnn.max_per_img == 100
