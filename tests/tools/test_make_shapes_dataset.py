"""The drawn data set is right as COCO data, and the same each time."""

import json
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO

from swin_mmdet.commands.make_shapes_dataset import main

ARGUMENTS = ('--train', '12', '--val', '4', '--size', '96')


@pytest.fixture(scope='module')
def make():
    """make(out, arguments ...) runs the program in this process and returns the exit code."""
    return lambda out, *arguments: main([str(out), *ARGUMENTS, *arguments])


@pytest.fixture(scope='module')
def shapes(make, tmp_path_factory) -> Path:
    out = tmp_path_factory.mktemp('drawn') / 'shapes'
    assert make(out) == 0
    return out


def files_of(folder):
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob('*')) if path.is_file()}


def test_layout_is_cocos(shapes):
    for split, count in (('train', 12), ('val', 4)):
        listed = json.loads((shapes / f'annotations/instances_{split}2017.json').read_text())['images']
        present = {path.name for path in (shapes / f'{split}2017').iterdir()}
        assert {image['file_name'] for image in listed} == present
        assert len(present) == count


@pytest.mark.parametrize('split', ['train', 'val'])
def test_masks_agree_with_boxes_and_areas_and_do_not_overlap(shapes, split):
    coco = COCO(str(shapes / f'annotations/instances_{split}2017.json'))
    for image_id in coco.getImgIds():
        masks = []
        for ann in coco.loadAnns(coco.getAnnIds(image_id)):
            mask = coco.annToMask(ann)
            assert ann['area'] == mask.sum() >= 40
            assert ann['bbox'] == mask_utils.toBbox(coco.annToRLE(ann)).tolist()
            assert ann['iscrowd'] == 0
            masks.append(mask)
        assert masks
        assert np.sum(masks, axis=0).max() == 1


def test_every_class_and_both_kinds_of_masks_are_there(shapes):
    content = json.loads((shapes / 'annotations/instances_train2017.json').read_text())
    assert {ann['category_id'] for ann in content['annotations']} == {1, 2, 3}
    assert {type(ann['segmentation']) for ann in content['annotations']} == {list, dict}
    assert [category['name'] for category in content['categories']] == ['circle', 'square', 'triangle']


def test_the_same_seed_draws_the_same_and_another_does_not(make, shapes, tmp_path):
    assert make(tmp_path / 'again') == 0
    assert make(tmp_path / 'other', '--seed', '1') == 0
    assert files_of(tmp_path / 'again') == files_of(shapes)
    assert files_of(tmp_path / 'other')['train2017/000001.jpg'] != files_of(shapes)['train2017/000001.jpg']


def test_a_finished_folder_is_kept(make, shapes, capsys):
    before = {path: path.stat().st_mtime_ns for path in shapes.rglob('*')}
    assert make(shapes) == 0
    assert 'kept' in capsys.readouterr().out
    assert {path: path.stat().st_mtime_ns for path in shapes.rglob('*')} == before


def test_any_other_folder_is_refused(make, shapes, tmp_path, capsys):
    assert make(shapes, '--seed', '1') == 1
    (tmp_path / 'letter.txt').write_text('mine')
    assert make(tmp_path) == 1
    assert 'holds something else' in capsys.readouterr().err
    assert (tmp_path / 'letter.txt').read_text() == 'mine'
