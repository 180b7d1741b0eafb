"""Faults of one image, category or annotation: each on both sides of its boundary, and alone."""

import pytest

from swin_mmdet.datasets.faults import (
    Known,
    annotation_faults,
    category_faults,
    image_faults,
    is_flag,
    is_id,
    is_number,
    spelt,
)

NAN, INFINITY = float('nan'), float('inf')
IMAGE = dict(id=1, file_name='a.png', height=10, width=20)
# of the image 1, 20 wide and 10 high
KNOWN = Known({1: (20, 10), 'x': (5, 5), 3: None}, {4: 'cat', 'd': 'dog'}, {7, 'u'})
GOOD = dict(id=1, image_id=1, category_id=4, bbox=[1, 1, 8, 8], area=64, iscrowd=0)


@pytest.mark.parametrize(
    ('value', 'number', 'id', 'flag'),
    [
        *((0, True, True, True), (1, True, True, True), (2, True, True, False), (-1, True, True, False)),
        *((True, True, True, True), (1.0, True, True, True), (0.5, True, True, False), (None, False, False, True)),
        *((999_999_999_999_999, True, True, False), (1e15, False, True, False), (-1e15, False, True, False)),
        *((NAN, False, False, False), (INFINITY, False, True, False), ('1', False, True, False)),
        *(([1], False, False, False), ({}, False, False, False)),
    ],
    ids=str,
)
def test_numbers_ids_and_flags(value: object, number: bool, id: bool, flag: bool):
    assert (is_number(value), is_id(value), is_flag(value)) == (number, id, flag)


@pytest.mark.parametrize(
    ('change', 'kinds'),
    [
        ({}, []),
        *((dict(width=side), ['image_size']) for side in (0, 0.5, -1, '20', None, NAN)),
        *((dict(height=side), ['image_size']) for side in (0, 0.5, -1, '10', None, INFINITY)),
        *((dict(file_name=name), ['image_name']) for name in ('', ' ', None, 7)),
        *((dict(id=id), ['image_id']) for id in (None, [1], NAN)),
        *((dict(width=1, height=1), []), (dict(id=2), []), (dict(id=5), ['image_id_twice'])),
    ],
    ids=str,
)
def test_images(change: dict, kinds: list[str]):
    assert image_faults(IMAGE | change, {5: None}) == kinds


@pytest.mark.parametrize('key', IMAGE)
def test_images_that_lack_a_key_have_that_fault_alone(key: str):
    assert image_faults({one: value for one, value in IMAGE.items() if one != key}, {}) == ['image_keys']


@pytest.mark.parametrize(
    ('category', 'kinds'),
    [
        *((dict(id=4, name='cat'), []), (dict(id='4', name='cat'), [])),
        (dict(id=5, name='cat'), ['category_id_twice']),
        *((dict(id=id, name='cat'), ['category_keys']) for id in (None, [4])),
        *((dict(id=4, name=name), ['category_keys']) for name in (None, 7, '', ' ')),
        *((dict(name='cat'), ['category_keys']), (dict(id=4), ['category_keys'])),
    ],
    ids=str,
)  # fmt: skip
def test_categories(category: dict, kinds: list[str]):
    assert category_faults(category, {5: 'dog'}) == kinds


def test_spellings_of_an_id():
    assert [spelt(id) for id in (7, 7.0, '7', ' 7 ', 7.5, 'a')] == ['7', '7', '7', '7', '7.5', 'a']


@pytest.mark.parametrize(
    ('change', 'kinds'),
    [
        ({}, []),
        *((dict(id=id), ['annotation_id']) for id in (None, [1], NAN)),
        *((dict(id=7), ['annotation_id_twice']), (dict(id='u'), ['annotation_id_twice'])),
        *((dict(id=id), ['annotation_id_zero']) for id in (0, 0.0)),
        *((dict(ignore=one), ['ignored']) for one in (1, True, 1.0)),
        *((dict(ignore=one), []) for one in (0, None, False)),
        *((dict(ignore=one), ['ignore_value']) for one in ('0', 2, -1)),
        *((dict(iscrowd=one), []) for one in (1, True, 0.0)),
        *((dict(iscrowd=one), ['iscrowd_value']) for one in ('1', 2, -1)),
        (dict(iscrowd=None), ['iscrowd_missing']),
        *((dict(area=area), ['area_zero']) for area in (0, -1)),
        *((dict(area=area), ['area_value']) for area in ('64', NAN, 1e15)),
        *((dict(area=None), ['area_missing']), (dict(area=0.01), [])),
        *((dict(image_id=id), ['annotation_of']) for id in (None, [1])),
        *((dict(category_id=id), ['annotation_of']) for id in (None, {})),
        *((dict(image_id=id), ['image_unknown']) for id in (2, '2', 'y')),
        *((dict(image_id=id), ['image_id_type']) for id in ('1', ' 1', '3')),
        *((dict(category_id=id), ['category_unknown']) for id in (5, '5', 'e')),
        (dict(category_id='4'), ['category_id_type']),
        (dict(image_id=2, category_id=5), ['category_unknown', 'image_unknown']),
        *((dict(bbox=box), ['box']) for box in (None, (1, 1, 8, 8), [1, 1, 8], [1, 1, 8, 8, 8], [1, 1, 8, '8'])),
        # where the size of the image is unknown, only what is no box is a fault
        *((dict(image_id=3, bbox=[900, 1, 0, 0]), []), (dict(image_id=3, bbox=[1, 1, 8]), ['box'])),
        (dict(image_id='x', bbox=[6, 1, 8, 8]), ['box_outside']),
        (dict(id=0, area=0, ignore=1, bbox=[1]), ['annotation_id_zero', 'ignored', 'area_zero', 'box']),
    ],
    ids=str,
)
def test_annotations(change: dict, kinds: list[str]):
    assert annotation_faults(GOOD | change, KNOWN) == kinds


@pytest.mark.parametrize(
    ('key', 'kind'),
    [
        *(('id', 'annotation_id_missing'), ('image_id', 'annotation_of'), ('category_id', 'annotation_of')),
        *(('bbox', 'box'), ('area', 'area_missing'), ('iscrowd', 'iscrowd_missing')),
    ],
)
def test_annotations_that_lack_a_key(key: str, kind: str):
    assert annotation_faults({one: value for one, value in GOOD.items() if one != key}, KNOWN) == [kind]


@pytest.mark.parametrize(
    ('box', 'kind'),
    [
        # narrower or lower than a pixel: mmdet skips them
        *(([1, 1, 1, 1], None), ([1, 1, 0.99, 8], 'box_small'), ([1, 1, 8, 0.99], 'box_small')),
        # nothing of them is in the image
        *(([20, 1, 8, 8], 'box_outside'), ([19, 1, 3, 8], None), ([1, 10, 8, 8], 'box_outside'), ([1, 9, 8, 3], None)),
        *(([-8, 1, 8, 8], 'box_outside'), ([1, -8, 8, 8], 'box_outside'), ([-2, 1, 3, 8], None), ([1, -2, 8, 3], None)),
        # rounding moves them over the border by two pixels at most
        *(([0, 0, 22, 12], None), ([0, 0, 22.1, 10], 'box_beyond'), ([0, 0, 20, 12.1], 'box_beyond')),
        *(([4, 0, 18, 10], None), ([4, 0, 18.1, 10], 'box_beyond'), ([0, 4, 20, 8.1], 'box_beyond')),
        *(([-2, -2, 20, 10], None), ([-2.1, 0, 20, 10], 'box_beyond'), ([0, -2.1, 20, 10], 'box_beyond')),
    ],
    ids=str,
)
def test_boxes_in_an_image_of_20_x_10(box: list[float], kind: str | None):
    assert annotation_faults(GOOD | dict(bbox=box), KNOWN) == [kind] * bool(kind)
