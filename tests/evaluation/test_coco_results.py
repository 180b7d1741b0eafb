"""Ids of a result file of COCO: those of the annotation file, or numbers."""

import json
from pathlib import Path

import pytest

from swin_mmdet.errors import UserError
from swin_mmdet.evaluation.coco_results import CocoIds

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


def test_without_an_annotation_file_ids_are_numbers_from_one():
    ids = CocoIds(CLASSES, None)
    assert [ids.categories[name] for name in CLASSES] == [1, 2]
    assert [ids.image(PATH, index) for index in (1, 9)] == [1, 9]


def test_ids_are_those_of_the_annotation_file(ann_file):
    ids = CocoIds(CLASSES, ann_file)
    assert [ids.categories[name] for name in CLASSES] == [20, 30]
    assert [ids.image(Path(name), 1) for name in ('elsewhere/a.jpg', 'b.jpg')] == [7, 'b']
    with pytest.raises(UserError, match=r'c\.jpg is not an image of the annotation file; leave --ann-file out'):
        ids.image(Path('c.jpg'), 1)
    with pytest.raises(UserError, match=r'annotations\.json has no category for .*: horse, cow$'):
        CocoIds(('cat', 'horse', 'cow'), ann_file)
