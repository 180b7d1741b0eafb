"""Detections as lines of a result file of COCO: ids of the annotation file or numbers, boxes by their sides, masks."""

import json
from pathlib import Path

import numpy as np
import pycocotools.mask as rle_codec
import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from swin_mmdet.errors import UserError
from swin_mmdet.evaluation.coco_results import CocoIds, coco_results

CLASSES = ('cat', 'dog')
PATH = Path('folder', 'a.jpg')


@pytest.fixture
def ann_file(tmp_path):
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps({
        'images': [{'id': 7, 'file_name': 'val/a.jpg'}, {'id': 'b', 'file_name': 'b.jpg'}],
        'categories': [{'id': 30, 'name': 'dog'}, {'id': 20, 'name': 'cat'}, {'id': 5, 'name': 'bird'}],
    }))  # fmt: skip
    return str(path)


def sample(masks=False):
    found = InstanceData(
        bboxes=torch.tensor([[1.0, 2.0, 4.0, 8.0], [0.0, 0.0, 2.0, 2.0], [5.0, 5.0, 6.0, 7.0]]),
        scores=torch.tensor([0.75, 0.5, 0.25]),
        labels=torch.tensor([1, 0, 1]),
    )
    if masks:
        found.masks = torch.zeros(3, 9, 10, dtype=torch.bool)
        found.masks[0, 2:8, 1:4] = found.masks[1, :2, :2] = True
    return DetDataSample(pred_instances=found)


def test_without_an_annotation_file_ids_are_numbers_from_one():
    ids = CocoIds(CLASSES, None)
    assert [ids.category(label) for label in (0, 1)] == [1, 2]
    assert [ids.image(PATH, index) for index in (1, 9)] == [1, 9]


def test_ids_are_those_of_the_annotation_file(ann_file):
    ids = CocoIds(CLASSES, ann_file)
    assert [ids.category(label) for label in (0, 1)] == [20, 30]
    assert [ids.image(Path(name), 1) for name in ('elsewhere/a.jpg', 'b.jpg')] == [7, 'b']
    with pytest.raises(UserError, match=r'c\.jpg is not an image of the annotation file; leave --ann-file out'):
        ids.image(Path('c.jpg'), 1)
    with pytest.raises(UserError, match=r'annotations\.json has no category for .*: horse, cow$'):
        CocoIds(('cat', 'horse', 'cow'), ann_file)


def test_a_line_for_each_detection_from_the_threshold_on(ann_file):
    ids = CocoIds(CLASSES, ann_file)
    assert coco_results(sample(), PATH, 7, ids, 0.5) == [
        {'image_id': 7, 'file_name': 'a.jpg', 'category_id': 30, 'category_name': 'dog', 'bbox': [1, 2, 3, 6],
         'score': 0.75},
        {'image_id': 7, 'file_name': 'a.jpg', 'category_id': 20, 'category_name': 'cat', 'bbox': [0, 0, 2, 2],
         'score': 0.5},
    ]  # fmt: skip
    assert coco_results(sample(), PATH, 7, ids, 0.76) == []
    assert len(coco_results(sample(), PATH, 7, ids, 0.0)) == 3


def test_masks_are_run_lengths_that_a_file_can_hold():
    rows = json.loads(json.dumps(coco_results(sample(masks=True), PATH, 7, CocoIds(CLASSES, None), 0.3)))
    assert [row['segmentation']['size'] for row in rows] == [[9, 10], [9, 10]]
    decoded = np.stack([rle_codec.decode(row['segmentation']) for row in rows])
    np.testing.assert_array_equal(decoded, sample(masks=True).pred_instances.masks[:2])
