"""A repaired copy of spoilt data is what the data was before; nothing is changed in place."""

import copy
import csv
import json

import numpy as np
import pytest
from PIL import Image

from swin_mmdet.datasets import check_folder, discover
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.problems import ERROR
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.repair.write import CHANGES, ToRepair, write_repaired
from swin_mmdet.errors import UserError
from tests.datasets.conftest import COCO

POLYGON = [10, 20, 40, 20, 40, 60, 10, 60]


def each(coco, **changes):
    for ann in coco['annotations']:
        ann |= copy.deepcopy(changes)


def first(coco, **changes):
    coco['annotations'][0] |= changes


def scaled_to(factor):
    def spoil(coco):
        for image in coco['images']:
            image |= {'width': 100 * factor, 'height': 100 * factor}
        for ann in coco['annotations']:
            ann['bbox'] = [value * factor for value in ann['bbox']]
            ann['segmentation'] = [[value * factor for value in polygon] for polygon in ann['segmentation']]
            ann['area'] *= factor**2

    return spoil


def text_ids(coco):
    for image in coco['images']:
        image['id'] = str(image['id'])


def text_sizes(coco):
    for image in coco['images']:
        image |= {'width': '100', 'height': '100'}


def numbers_as_names(coco):
    coco['categories'] += [{'id': 5, 'name': 'cat'}]


BITMAP = np.zeros((100, 100), int)
BITMAP[20:60, 10:40] = 1
# what is spoilt so comes back as it was
WHOLE = {
    'corners': lambda coco: each(coco, bbox=[10, 20, 40, 60]),
    'centres': lambda coco: each(coco, bbox=[25, 40, 30, 40]),
    'fractions': lambda coco: each(coco, bbox=[0.1, 0.2, 0.3, 0.4]),
    'a larger original': scaled_to(2),
    'a smaller one': scaled_to(0.5),
    'areas as fractions': lambda coco: each(coco, area=0.12),
    'areas as text': lambda coco: each(coco, area='1200'),
    'no areas': lambda coco: each(coco, area=None),
    'iscrowd as text': lambda coco: each(coco, iscrowd='0'),
    'a crowd of all': lambda coco: each(coco, iscrowd=1),
    'ids as text': text_ids,
    'sizes as text': text_sizes,
    'annotation ids': lambda coco: each(coco, id=7),
    'flat polygons': lambda coco: each(coco, segmentation=POLYGON),
    'points': lambda coco: each(coco, segmentation=[[[10, 20], [40, 20], [40, 60], [10, 60]]]),
    'numbers as text': lambda coco: each(coco, segmentation=[[str(value) for value in POLYGON]]),
    'fractions of masks': lambda coco: each(coco, segmentation=[[value / 100 for value in POLYGON]]),
    'y before x': lambda coco: each(coco, segmentation=[[20, 10, 20, 40, 60, 40, 60, 10]]),
    'no box': lambda coco: first(coco, bbox=None),
    'a name twice': numbers_as_names,
    'a name with a folder': lambda coco: coco['images'][0].update(file_name='C:\\data\\1.jpg'),
    'a file twice': lambda coco: (
        coco['images'].append(coco['images'][1] | {'id': 9}), coco['annotations'][2].update(image_id=9),
    ),
}  # fmt: skip


@pytest.fixture
def fixed(write, tmp_path):
    """fixed(train) repairs a spoilt file and a healthy one: the content of both, the changes and what is left."""

    def repair(train, change=lambda _: None):
        healthy = copy.deepcopy(COCO)
        files = {'train': write(healthy), 'val': write(healthy, 'val')}
        files['train'].write_text(json.dumps(train))
        change(files['train'])
        before = {path: path.read_bytes() for path in sorted(tmp_path.rglob('*')) if path.is_file()}
        parts = [
            ToRepair(f'instances_{name}2017.json', f'{name}2017', path, tmp_path / f'{name}2017', ImageReader())
            for name, path in files.items()
        ]
        out = tmp_path / 'fixed'
        changes = write_repaired(parts, out, CheckOptions())
        assert all(path.read_bytes() == content for path, content in before.items())
        with open(out / CHANGES, newline='') as file:
            assert len(list(csv.DictReader(file))) == len(changes)
        left = [problem for problem in check_folder(discover(out))[0] if problem.level == ERROR]
        return json.loads((out / 'annotations/instances_train2017.json').read_text()), changes, left

    return repair


def assert_same(found, expected):
    assert [image['file_name'] for image in found['images']] == [image['file_name'] for image in expected['images']]
    assert found['categories'] == expected['categories']
    assert len(found['annotations']) == len(expected['annotations'])
    names = {image['id']: image['file_name'] for data in (expected, found) for image in data['images']}
    for mine, other in zip(found['annotations'], expected['annotations'], strict=True):
        assert names[mine['image_id']] == names[other['image_id']]
        assert (mine['category_id'], mine['iscrowd']) == (other['category_id'], other['iscrowd'])
        np.testing.assert_allclose(mine['bbox'], other['bbox'])
        np.testing.assert_allclose(mine['segmentation'], other['segmentation'])
        assert mine['area'] == pytest.approx(other['area'])


def test_healthy_data_is_copied_as_it_is(fixed, coco):
    found, changes, left = fixed(coco)
    assert (changes, left) == ([], [])
    assert_same(found, COCO)


@pytest.mark.parametrize('name', WHOLE)
def test_what_can_be_told_is_put_right(fixed, coco, name):
    WHOLE[name](coco)
    found, changes, left = fixed(coco)
    assert changes
    assert left == []
    assert_same(found, COCO)


@pytest.mark.parametrize('mask', [
    {'size': [100, 100], 'counts': [5, 5]}, [[10, 20, None, 20, 40, 60]], [[1, 2, 3, 4]], 'masks/1.png',
], ids=str)  # fmt: skip
def test_an_object_whose_mask_is_lost_becomes_a_region(fixed, coco, mask):
    first(coco, segmentation=mask)
    found, _, left = fixed(coco)
    assert left == []
    assert found['annotations'][0]['iscrowd'] == 1
    assert [ann['iscrowd'] for ann in found['annotations'][1:]] == [0, 0]


def test_a_mask_in_another_spelling_is_written_as_run_lengths(fixed, coco):
    first(coco, segmentation=BITMAP.tolist())
    found, _, left = fixed(coco)
    assert left == []
    assert found['annotations'][0]['segmentation']['size'] == [100, 100]
    assert (found['annotations'][0]['iscrowd'], found['annotations'][0]['area']) == (0, 1200)


@pytest.mark.parametrize('encoding', ['utf-16', 'utf-8-sig'])
def test_text_in_another_encoding_is_written_as_utf_8(fixed, coco, encoding):
    found, changes, left = fixed(coco, lambda path: path.write_bytes(json.dumps(coco).encode(encoding)))
    assert_same(found, COCO)
    assert [change.kind for change in changes] == ['file_text']
    assert left == []


@pytest.mark.parametrize('content', [b'', b'<html>', 'half'], ids=['empty', 'html', 'cut'])
def test_images_that_cannot_be_used_are_left_out_with_their_annotations(fixed, coco, tmp_path, content):
    def spoil(_):
        path = tmp_path / 'train2017/2.jpg'
        path.write_bytes(path.read_bytes()[:2000] if content == 'half' else content)

    found, changes, left = fixed(coco, spoil)
    assert left == []
    assert [image['id'] for image in found['images']] == [1, 3]
    assert [ann['id'] for ann in found['annotations']] == [1, 2]
    assert len(changes) == 2


def test_what_takes_a_guess_is_left_and_said(fixed, coco, tmp_path):
    """Another picture under the name of one: no scale makes its boxes right."""
    noise = np.random.default_rng(0).integers(0, 256, (40, 90), np.uint8)
    _, _, left = fixed(coco, lambda _: Image.fromarray(noise).save(tmp_path / 'train2017/2.jpg'))
    assert 'not as large as' in left[0].what


def test_a_folder_with_something_in_it_is_not_written_into(tmp_path):
    (tmp_path / 'mine.txt').touch()
    with pytest.raises(UserError, match='there is something already'):
        write_repaired([], tmp_path, CheckOptions())
