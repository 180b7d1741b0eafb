"""Boxes of another format or of a larger image, told by masks, areas and the borders of images."""

import re

import pytest

from swin_mmdet.datasets import find_problems, read_coco
from swin_mmdet.datasets.check import check_file
from swin_mmdet.datasets.problems import ERROR, WARNING
from tests.datasets.test_check import only, texts


@pytest.mark.parametrize(('box', 'words'), [
    ([10, 20, 40, 60], r'\[x1, y1, x2, y2\]'),
    ([25, 40, 30, 40], r'\[centre x, centre y, width, height\]'),
    ([0.1, 0.2, 0.3, 0.4], r'\[x, y, width, height\] in fractions'),
    ([0.25, 0.4, 0.3, 0.4], r'\[centre x, centre y, width, height\] in fractions'),
    ([0.1, 0.2, 0.4, 0.6], r'\[x1, y1, x2, y2\] in fractions'),
], ids=str)  # fmt: skip
def test_boxes_of_another_format_are_recognised_by_their_masks(config, coco, box, words):
    for ann in coco['annotations']:
        ann['bbox'] = box
    cfg = config(train=coco)
    assert re.search(f'boxes of .*json are {words}', only(cfg))
    assert texts(cfg, WARNING) == []


def test_boxes_of_another_format_are_recognised_by_their_areas(config, coco):
    for ann in coco['annotations']:
        ann |= {'bbox': [10, 20, 40, 60], 'segmentation': [[1, 2, 3, 4]]}
    boxes, masks = texts(config(train=coco))
    assert 'are [x1, y1, x2, y2]: 100% of them fit their areas so, 0% as they stand' in boxes
    assert '3 of 3 annotations have masks that are neither polygons of at least 3 points' in masks


@pytest.mark.parametrize(('boxes', 'words'), [
    ([[50, 60, 80, 90]] * 4 + [[5, 5, 99, 95]], '[x1, y1, x2, y2]'),
    ([[80, 60, 40, 20]] * 4 + [[20, 70, 30, 60]], '[centre x, centre y, width, height]'),
], ids=['corners', 'centres'])  # fmt: skip
def test_boxes_of_another_format_are_recognised_by_the_borders(coco, write, boxes, words):
    coco['annotations'] = [
        {'id': id, 'image_id': 1, 'category_id': 4, 'bbox': box, 'area': 900.0, 'iscrowd': 0}
        for id, box in enumerate(boxes, 1)
    ]
    (problem,) = [one for one in check_file(read_coco(write(coco))) if one.level == ERROR]
    assert f'are {words}' in problem.what


@pytest.mark.parametrize('shift', [(0, 0), (-10, -20), (60, 40)], ids=str)
def test_boxes_that_are_right_pass_wherever_they_lie(config, coco, shift):
    """At the upper left, two corners and a corner with its sides are nearly the same numbers."""
    x, y = shift
    for ann in coco['annotations']:
        ann['bbox'] = [10 + x, 20 + y, 30, 40]
        ann['segmentation'] = [[10 + x, 20 + y, 40 + x, 20 + y, 40 + x, 60 + y, 10 + x, 60 + y]]
    assert find_problems(config(train=coco))[0] == []


@pytest.mark.parametrize(('wrong', 'level'), [(1, WARNING), (2, ERROR)])
def test_boxes_of_a_larger_image(config, coco, wrong, level):
    for ann in coco['annotations'][:wrong]:
        ann |= {'bbox': [60, 50, 60, 80], 'area': 4800, 'segmentation': [[60, 50, 120, 50, 120, 130, 60, 130]]}
    assert 'not of a larger original' in only(config(train=coco), level)
