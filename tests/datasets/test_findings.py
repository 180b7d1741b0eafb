"""Findings of the check and changes of the repair, each function by itself and word for word."""

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.datasets.checks.classes import agreement_problems, head_problems
from swin_mmdet.datasets.checks.image_files import _contents, _shapes
from swin_mmdet.datasets.columns import _places
from swin_mmdet.datasets.headers import read_header
from swin_mmdet.datasets.heads import ClassWeights, class_weights, head_classes
from swin_mmdet.datasets.layouts.folder import DataFolder
from swin_mmdet.datasets.pixels import look_at_pixels
from swin_mmdet.datasets.problems import Problem
from swin_mmdet.datasets.repair.annotations import _mask
from swin_mmdet.datasets.repair.categories import add_categories, repair_categories
from swin_mmdet.datasets.repair.change import Changes
from swin_mmdet.datasets.repair.images import _without_doubles

SAME = "let the annotation files list the same 'categories'"


@pytest.mark.parametrize(('names', 'words', 'remedy', 'kind'), [
    (('b', 'a'), 'b, a) are not those of train (a, b) in the same order', "give both the same metainfo['classes']", ''),
    (('a',), 'a) are not those of train (a, b): it lacks b', SAME, 'categories_differ'),
    (('a', 'b', 'd', 'c'), 'a, b, d, c) are not those of train (a, b): it adds c, d', SAME, 'categories_differ'),
    (('a', 'c'), 'a, c) are not those of train (a, b): it lacks b, it adds c', SAME, 'categories_differ'),
])  # fmt: skip
def test_splits_of_other_classes(names, words, remedy, kind):
    found = agreement_problems({'train': ('a', 'b'), 'val': names, 'test': ('a', 'b')})
    assert found == [Problem('val', f'its classes ({words}', remedy, 'error', kind)]


MASK2FORMER = dict(
    panoptic_head=dict(
        num_things_classes=80, num_stuff_classes=53, loss_cls=dict(class_weight=[1.0] * 133 + [0.1]),
    )
)  # fmt: skip


def test_heads_and_weights_of_classes():
    model = dict(
        roi_head=dict(bbox_head=[dict(num_classes=3), dict(num_classes=4)], mask_head=dict(num_classes=3)),
        class_agnostic_head=dict(num_classes=7, class_agnostic=True),
    )
    three = ['model.roi_head.bbox_head.0.num_classes', 'model.roi_head.mask_head.num_classes']
    found = {head.key: head.value for head in head_classes(model)}
    assert found == dict.fromkeys(three, 3) | {'model.roi_head.bbox_head.1.num_classes': 4}
    assert head_problems(model, 'abc') == [Problem(
        'model', 'the data has 3 classes, but 1 head of the model has num_classes 4',
        'set (in the config, or after --cfg-options)\nmodel.roi_head.bbox_head.1.num_classes=3',
    )]  # fmt: skip
    (problem,) = head_problems(model, 'abcd')
    assert problem.what == 'the data has 4 classes, but 2 heads of the model have num_classes 3'
    # which reads its classes from a text
    assert head_classes(model | {'language_model': {}}) == []


def test_a_weight_for_each_class_each_stuff_and_nothing():
    key = 'model.panoptic_head.loss_cls.class_weight'
    assert class_weights(MASK2FORMER) == [ClassWeights(key, (*[1.0] * 133, 0.1), 53)]
    (problem,) = [one for one in head_problems(MASK2FORMER, 'ab') if key in one.what]
    assert problem == Problem(
        'model', f'{key} has 134 weights, which fit 80 classes, but the data has 2', f'set {key}=[1.0] * 55 + [0.1]'
    )
    weights = ClassWeights('key', (2.0, 2.0, 2.0, 0.1), 1)
    assert (weights.fits, weights.fitted(3)) == (2, [2.0] * 4 + [0.1])
    assert ClassWeights('key', (2.0, 1.0, 0.1), 0).fitted(3) is None


def image(width=100, height=100, deep=False, **pixels):
    seen = dict(is_blank=False, is_dark=False, high=1.0, damage='') | pixels
    header = SimpleNamespace(deep=deep)
    return SimpleNamespace(size=(width, height), header=header, pixels=SimpleNamespace(**seen))


OF_ALL = 'of the 9 images'


@pytest.mark.parametrize(('size', 'level', 'words'), [
    ((2, 100), 'error', 'have at most 2 pixels on a side and show nothing: a'), ((3, 60), None, ''),
    ((3, 61), 'warning', 'are more than 20 times as long as wide: resized, little is left of them: a is 3x61'),
    ((300, 3), 'warning', 'are more than 20 times as long as wide: resized, little is left of them: a is 300x3'),
    ((3, 301), 'error', 'are more than 100 times as long as wide: resized, little is left of them: a is 3x301'),
])  # fmt: skip
def test_shapes_that_show_little(size, level, words):
    found = _shapes([('a', image(*size)), ('b', image())], OF_ALL, 'where')
    expected = [('where', level, f'1 {OF_ALL} {words}')] * bool(level)
    assert [(one.where, one.level, one.what) for one in found] == expected


class Reader:
    def __init__(self, brightest: int, dtype: type = np.uint8) -> None:
        self.image = np.full((2, 2), brightest, dtype)

    def read(self, path: Path) -> np.ndarray:
        assert path == Path('folder/a')
        return self.image


DEEP = dict(deep=True, high=0.25)


def contents(*images, reader=None):
    named = list(zip('abcd', images, strict=False))
    return _contents(named, Path('folder'), OF_ALL, 'where', reader or Reader(63))


def test_images_of_one_colour_and_dark_ones():
    blank, dark = image(is_blank=True, is_dark=True, **DEEP), image(is_dark=True)
    remedy = 'nothing to do if they '
    assert contents(blank, image()) == [
        Problem('where', f'1 {OF_ALL} are of one colour: a', f'{remedy}are meant to be empty', 'warning')
    ]
    assert contents(dark, dark, image(is_dark=True, damage='cut off')) == [
        Problem('where', '2 images of 3 in folder are nearly black: a, b', f'{remedy}were taken in the dark', 'warning')
    ]


@pytest.mark.parametrize(('others', 'level'), [(0, 'error'), (1, 'warning')])
def test_images_of_unused_bits_are_an_error_where_they_are_most(others, level):
    (found,) = contents(image(**DEEP), *[image(deep=True)] * others)
    what = f'1 {OF_ALL} have more than 8 bits, of which the highest are not used, so that they are read nearly black: a'
    assert (found.where, found.what, found.level, found.kind) == ('where', what, level, 'image_dark')


def test_images_of_many_bits_that_are_read_bright_are_none():
    assert contents(image(**DEEP), reader=Reader(64)) == []
    assert contents(image(**DEEP), reader=Reader(3, np.uint16)) == []
    assert contents(image(deep=True, high=0.26)) == []


def test_names_of_categories():
    data = dict(
        categories=[dict(id=1, name='a'), dict(id=2, name='a'), dict(name='b'), dict(id=4), dict(id=5, name=7)],
        annotations=[dict(category_id=2), dict(category_id=1), dict(category_id=5), dict(category_id=[2]), {}],
    )
    note = Changes()
    repair_categories(data, note)
    assert data['categories'] == [dict(id=1, name='a'), dict(id=4, name='category 4'), dict(id=5, name='7')]
    assert [ann.get('category_id') for ann in data['annotations']] == [1, 1, 5, [2], None]
    assert {(change.kind, change.item, change.what) for change in note} == {
        ('category_name_twice', 'category 2', "left out: category 1 has the name 'a', too"),
        ('category_keys', note.made[[change.what for change in note].index('left out: it has no id')].item,
         'left out: it has no id'),
        ('category_keys', 'category 4', "name None written as 'category 4'"),
        ('category_keys', 'category 5', "name 7 written as '7'"),
    }  # fmt: skip
    add_categories(data, ['7', 'c', 'd'], note)
    assert data['categories'][3:] == [dict(id=6, name='c'), dict(id=7, name='d')]
    words = ('categories_differ', 'category 7', "'d' added, which another split has")
    assert (note.made[-1].kind, note.made[-1].item, note.made[-1].what) == words
    empty = dict(categories=[])
    add_categories(empty, ['a'], note)
    assert empty['categories'] == [dict(id=1, name='a')]


@pytest.mark.parametrize(('name', 'base', 'inside'), [
    ('a.jpg', '', 'a.jpg'), ('a.jpg', 'images/train', 'images/train/a.jpg'), (' ..\\a.jpg ', 'images', 'a.jpg'),
    ('/data/root/x/a.jpg', 'images', 'x/a.jpg'), ('../a.jpg', '', None), ('..', '', None), ('images/..', '', '.'),
    ('../..', 'images', None), ('/data/rootless/a.jpg', 'images', None), ('/data/root/../a.jpg', '', None),
])  # fmt: skip
def test_paths_inside_of_a_folder(name, base, inside):
    folder = DataFolder.__new__(DataFolder)
    folder.root = Path('/data/root')
    assert folder.inside(name, base) == inside


def test_only_usual_ids_have_places():
    assert _places([1, True, [2], 'a', 1.0, None, 'b'], {1: None, 'a': None}).tolist() == [0, -1, -1, 1, -1, -1, -1]
    assert _places(['a', 1, 'b'], {1: None, 'a': None}).tolist() == [1, 0, -1]


@pytest.mark.parametrize(('mode', 'values', 'low', 'high', 'deep'), [
    ('L', [51, 204], 0.2, 0.8, False), ('I;16', [0, 13107], 0.0, 0.2, True), ('F', [0.25, 0.5], 0.25, 0.5, True),
    ('F', [1.0, 4.0], 0.25, 1.0, True),
])  # fmt: skip
def test_the_range_of_values_and_whether_they_have_many_bits(mode, values, low, high, deep, tmp_path):
    dtype = {'L': np.uint8, 'I;16': np.uint16, 'F': np.float32}[mode]
    picture = Image.fromarray(np.tile(np.array(values, dtype), (3, 1)))
    assert picture.mode == mode
    picture.save(tmp_path / 'a.tif')
    header = read_header(tmp_path / 'a.tif')
    assert (header.size, header.format, header.frames, header.deep) == ((2, 3), 'TIFF', 1, deep)
    pixels = look_at_pixels(tmp_path / 'a.tif', 'TIFF')
    assert (pixels.damage, pixels.low, pixels.high) == ('', pytest.approx(low), pytest.approx(high))


def test_an_image_of_one_colour_is_so_in_grey(tmp_path):
    """However different its bands are."""
    for name in ('a.jpg', 'a.png'):
        Image.new('RGB', (40, 30), (250, 20, 20)).save(tmp_path / name, quality=95)
        pixels = look_at_pixels(tmp_path / name, 'JPEG' if name == 'a.jpg' else 'PNG')
        assert pixels.is_blank
        # luma of ITU-R BT.601
        assert pixels.low == pytest.approx((0.299 * 250 + 0.701 * 20) / 255, abs=0.01)


def test_each_image_behind_a_double_stays():
    images = [dict(id=id, file_name=name) for id, name in enumerate('abacb')]
    annotations, note = [dict(image_id=id) for id in (0, 2, 3, 4, 9)], Changes()
    assert [one['id'] for one in _without_doubles(images, annotations, note)] == [0, 1, 3]
    assert [ann['image_id'] for ann in annotations] == [0, 0, 3, 1, 9]
    assert [(one.item, one.what) for one in note] == [
        ('image 2', 'joined with image 0, of the same file'), ('image 4', 'joined with image 1, of the same file'),
    ]  # fmt: skip


def test_a_mask_is_turned_only_onto_its_box():
    """One elsewhere may be of another object."""
    corner = [0, 0, 10, 0, 10, 4, 0, 4]
    for box, mask, turned in (([0, 0, 4, 10], [corner], True), ([50, 50, 4, 10], [corner], False),
                              ([0, 0, 10, 4], [corner], False)):  # fmt: skip
        ann, note = dict(bbox=box, segmentation=mask), Changes()
        found = _mask(ann, (100, 100), SimpleNamespace(masks=True), 'annotation 1', note)
        assert tuple(found) == ((0, 0, 4, 10) if turned else (0, 0, 10, 4))
        assert [change.what for change in note] == ['x and y of its mask exchanged'] * turned
