"""Labels are positions in `metainfo['classes']`, in the data set and in the metric, whatever the order of the file."""

import numpy as np
import pytest
import torch
from mmdet.registry import DATASETS
from mmengine.registry import DefaultScope

from swin_mmdet.datasets import find_problems, label_by_name
from swin_mmdet.datasets.problems import ERROR
from swin_mmdet.datasets.sources import coco_sources
from swin_mmdet.registry import METRICS
from tests.datasets.conftest import COCO


def reversed_file(coco):
    coco['categories'].reverse()
    return coco


@pytest.mark.parametrize('split', ['train', 'val'])
def test_only_splits_that_need_it_are_numbered_by_name(config, coco, split):
    cfg = config(**{split: reversed_file(coco)})
    (line,) = label_by_name(cfg)
    splits = ('train',) if split == 'train' else ('val', 'test')
    assert all(f'{name}_dataloader.dataset' in line for name in splits)
    for name in ('train', 'val', 'test'):
        expected = 'swin_mmdet.CocoDataset' if name in splits else 'CocoDataset'
        assert cfg[f'{name}_dataloader'].dataset.type == expected
    assert [problem for problem in find_problems(cfg)[0] if problem.level == ERROR] == []


def test_splits_that_are_numbered_by_name_are_checked_too(config, coco):
    coco['annotations'][0]['bbox'] = [1, 2, 'three', 4]
    cfg = config(train=reversed_file(coco))
    label_by_name(cfg)
    assert cfg.train_dataloader.dataset.type == 'swin_mmdet.CocoDataset'
    assert [source.by_name for source in coco_sources(cfg)] == [True, False, False]
    assert any(problem.level == ERROR for problem in find_problems(cfg)[0])


def test_a_config_in_the_order_of_its_files_stays_as_it_is(config):
    cfg = config()
    before = cfg.pretty_text
    assert label_by_name(cfg) == []
    assert cfg.pretty_text == before


def test_labels_mean_names(config, coco):
    cfg = config(train=reversed_file(coco))
    label_by_name(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.train_dataloader.dataset | dict(pipeline=[], serialize_data=False))
    names = {category['id']: category['name'] for category in COCO['categories']}
    expected = [[names[ann['category_id']] for ann in COCO['annotations'] if ann['image_id'] == id] for id in (1, 2, 3)]
    labels = [[obj['bbox_label'] for obj in dataset.get_data_info(index)['instances']] for index in range(3)]
    assert [[dataset.metainfo['classes'][label] for label in of_image] for of_image in labels] == expected


def test_the_metric_numbers_as_its_data_set_does(config, coco):
    """A perfect detection of each object, as labels of the configured classes."""
    cfg = config(val=reversed_file(coco))
    label_by_name(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        dataset = DATASETS.build(cfg.val_dataloader.dataset | dict(pipeline=[], test_mode=True))
        metric = METRICS.build(cfg.val_evaluator | dict(metric='bbox'))
    metric.dataset_meta = dataset.metainfo
    for index in range(3):
        info = dataset.get_data_info(index)
        boxes = np.array([obj['bbox'] for obj in info['instances']], np.float32).reshape(-1, 4)
        labels = np.array([obj['bbox_label'] for obj in info['instances']], int)
        found = dict(bboxes=torch.tensor(boxes), labels=torch.tensor(labels), scores=torch.ones(len(labels)))
        metric.process({}, [dict(img_id=info['img_id'], ori_shape=(100, 100), pred_instances=found)])
    assert metric.evaluate(3)['coco/bbox_mAP'] == pytest.approx(1)
