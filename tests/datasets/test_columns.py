"""What is said of all annotations at once is what is said of one after the other."""

import copy
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest

from swin_mmdet.datasets import coco_file
from swin_mmdet.datasets.coco_file import summarise
from swin_mmdet.datasets.columns import Columns, columns, polygon_corners
from swin_mmdet.datasets.mask_boxes import judged_mask
from tests.structures.annotations import objects

# for a key of an annotation, what files have there
VALUES = {
    'id': [1, 2, 0, -3, 7.0, '2', None, True, 10**20, 2.5, float('nan'), [1]],
    'image_id': [1, 3, '1', 1.0, 99, None, True, [1], float('inf')],
    'category_id': [4, 9, '4', 4.0, 99, None, False, {}],
    'bbox': [[10, 20, 30, 40], [0.5, 0.5, 1, 1], [-1, -1, 102, 102], [90, 90, 30, 30], [200, 1, 9, 9], [1, 2, 3], [],
             None, 'x', [1, 2, '3', 4], [1, 2, float('nan'), 4], [True, 1, 2, 3], [1, 2, 10**400, 4], [1, 2, 0.5, 3]],
    'area': [1200, 0, -1, None, '7', 0.5, float('nan'), 10**400, True, 1e16],
    'iscrowd': [0, 1, None, '0', True, 2, 0.0],
    'ignore': [0, 1, None, '1', False],
    'segmentation': [
        [[10, 20, 40, 20, 40, 60, 10, 60]], [[10, 20, 40, 20, 40, 60], [70.5, 70, 80, 80, 70, 80]], [], None, 'a.png',
        [10, 20, 40, 20, 40, 60], [[10, 20, 40]], [[10, 20, 40, 20, 40, 60], [1, 2]], [[10, 20, 40, 20, 40, '60']],
        [[[1, 2], [3, 4], [5, 6]]], [[float('nan')] * 6], [[1e7, 0, 1e7, 1e7, 0, 0]], [[10**400, 1, 2, 3, 4, 5]],
        [[200, 200, 240, 200, 240, 240]], [[-9, -9, -5, -9, -5, -5]], [[10, 10, 10.2, 10, 10.2, 10.2]],
        {'size': [100, 100], 'counts': [0, 10000]}, {'size': [100, 100], 'counts': [5, 5]}, {}, [[True] * 6],
        [[0] * 100 for _ in range(100)], (1, 2), [None], [[10, 20, 40, 20, 40, 60, 50]],
    ],
}  # fmt: skip


def spoilt(coco, seed, share=0.3):
    """Two images more, one without a size, and annotations of which some values are taken from `VALUES`."""
    rng = np.random.default_rng(seed)
    coco['images'] += [{'id': 'x', 'file_name': 'x.jpg', 'height': 50, 'width': 40},
                       {'id': 6, 'file_name': '6.jpg', 'height': '50', 'width': 40}]  # fmt: skip
    good = coco['annotations'] * 8
    coco['annotations'] = []
    for index, ann in enumerate(good):
        ann = copy.deepcopy(ann) | {'id': index + 1, 'image_id': [1, 2, 3, 'x', 6][index % 5]}
        for key, values in VALUES.items():
            if rng.random() < share / 3:
                ann[key] = values[rng.integers(len(values))]
            elif rng.random() < share / 30:
                ann.pop(key, None)
        coco['annotations'].append(ann)
    return coco


def one_by_one(annotations, sizes, categories):
    """Columns that leave every annotation to the judge of one."""
    del sizes, categories
    n = len(annotations)
    return Columns(np.zeros(n, bool), np.full(n, -1), np.zeros((n, 4)), np.zeros(n), np.zeros(n))


@pytest.mark.parametrize('seed', range(20))
def test_a_summary_is_that_of_looking_at_one_after_the_other(coco, seed, monkeypatch):
    data = spoilt(coco, seed, share=(0, 0.3, 0.3, 1)[seed % 4])
    found = summarise(Path('a.json'), data)
    monkeypatch.setattr(coco_file, 'columns', one_by_one)
    monkeypatch.setattr(coco_file, 'polygon_corners', lambda masks, *_: np.full((len(masks), 4), np.nan))
    expected = summarise(Path('a.json'), data)
    for field in fields(found):
        ours, theirs = (getattr(one, field.name) for one in (found, expected))
        if isinstance(ours, np.ndarray):
            np.testing.assert_array_equal(ours, theirs, field.name)
        elif field.name == 'faults':
            counts = [{kind: fault.count for kind, fault in faults.items()} for faults in (ours, theirs)]
            assert counts[0] == counts[1]
        else:
            assert ours == theirs, field.name


def test_healthy_annotations_need_no_second_look(coco):
    data = spoilt(coco, 0, share=0)
    sizes = {1: (100, 100), 2: (100, 100), 3: (100, 100), 'x': (40, 50)}
    known = [ann for ann in data['annotations'] if ann['image_id'] in sizes]
    found = columns(known, sizes, {4: 'cat', 9: 'dog'})
    # a box of the small image reaches beyond it
    assert [ann['image_id'] != 'x' for ann in known] == found.usual.tolist()
    boxes = np.array([ann['bbox'] for ann in known], float)
    np.testing.assert_array_equal(found.boxes, boxes)


def test_corners_of_polygons_are_those_that_one_mask_has():
    rng = np.random.default_rng(0)
    masks = [mask for _ in range(60) for mask in objects(rng, 48, 64)]
    masks = [[list(map(float, polygon)) for polygon in mask] if isinstance(mask, list) else mask for mask in masks]
    found = polygon_corners(masks, [48] * len(masks), [64] * len(masks))
    judged = [judged_mask(mask, 48, 64) for mask in masks]
    assert np.isfinite(found[:, 0]).sum() > 50
    for corners, (kind, expected) in zip(found, judged, strict=True):
        if np.isfinite(corners[0]):
            assert kind == ''
            np.testing.assert_allclose(corners, expected)


def test_no_masks_have_no_corners():
    assert polygon_corners([], [], []).shape == (0, 4)
