"""Which layout a folder has: recognised by content, and refused with what is there where it is none or several."""

import pytest

from swin_mmdet.datasets.layouts import LAYOUTS, DataFolder, LayoutError, find_layout
from tests.datasets.layouts.test_coco import coco
from tests.datasets.layouts.test_cvat import BOX, image
from tests.datasets.layouts.test_cvat import xml as cvat_xml
from tests.datasets.layouts.test_label_studio import result, task
from tests.datasets.layouts.test_labelme import labelled, shape
from tests.datasets.layouts.test_pascal_voc import thing, xml
from tests.datasets.layouts.test_supervisely_and_datumaro import META, datumaro, sly
from tests.datasets.layouts.test_yolo import ultralytics

FOLDERS = {
    'COCO': {'x.json': coco('a.jpg')},
    'YOLO': ultralytics(),
    'Pascal VOC': {'a.xml': xml('a.jpg', thing())},
    'LabelMe': {'b.json': labelled('a.jpg', shape())},
    'CVAT XML': {'b.xml': cvat_xml(image('a.jpg', BOX))},
    'Label Studio': {'c.json': [task('a.jpg', result())]},
    'Supervisely': {'meta.json': META, 'd/ann/a.jpg.json': sly()},
    'Datumaro': datumaro(),
}


def test_every_layout_has_a_folder_here():
    assert [layout.name for layout in LAYOUTS] == list(FOLDERS)


@pytest.mark.parametrize('name', FOLDERS)
def test_a_layout_is_recognised_by_its_content(lay_out, name):
    assert find_layout(DataFolder(lay_out({'a.jpg': None, 'README.md': 'x', **FOLDERS[name]}))).name == name


@pytest.mark.parametrize('pair', [('YOLO', 'Pascal VOC'), ('COCO', 'LabelMe'), ('CVAT XML', 'Label Studio')], ids=str)
def test_two_layouts_in_one_folder_are_an_error_that_names_both(lay_out, pair):
    folder = DataFolder(lay_out({'a.jpg': None, **FOLDERS[pair[0]], **FOLDERS[pair[1]]}))
    with pytest.raises(LayoutError) as caught:
        find_layout(folder)
    first, second = (name.lower().replace(' ', '-') for name in pair)
    assert 'has annotations in several layouts' in str(caught.value)
    assert all(f'{name} (' in str(caught.value) for name in pair)
    assert f'--layout {first} or {second}' in str(caught.value)
    assert find_layout(folder, second).name == pair[1]


@pytest.mark.parametrize(('files', 'there'), [
    ({}, 'There is: nothing'),
    ({'a.jpg': None, 'b.jpg': None, 'notes.csv': 'x'}, 'There is: 2 .jpg, 1 .csv.'),
    ({'a.jpg': None, 'a.json': {'via': 1, 'x': 2}}, 'a.json: an object with via, x'),
    ({'a.jpg': None, 'a.json': '{"images": ['}, 'a.json: no valid JSON'),
    ({'a.jpg': None, 'a.json': '[' * 100000}, 'a.json: no valid JSON'),
    ({'a.jpg': None, 'a.xml': '<html/>'}, 'a.xml: XML of <html>'),
    ({'a.jpg': None, 'a.xml': b'\0\1'}, 'a.xml: no valid XML'),
    ({'a.jpg': None, 'a.txt': 'a cat, and a dog\n'}, 'There is: 1 .jpg, 1 .txt'),
    ({'a.jpg': None, 'train.json': coco('a.jpg', annotations=[{'caption': 'x'}])}, 'train.json: an object with info'),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_an_unknown_folder_is_an_error_that_says_what_is_there_and_what_would_be_read(lay_out, files, there):
    with pytest.raises(LayoutError) as caught:
        find_layout(DataFolder(lay_out({'.hidden': 'x', **files})))
    assert there in str(caught.value)
    assert all(f'{layout.name}: {layout.expects}' in str(caught.value) for layout in LAYOUTS)


def test_a_wanted_layout_that_is_not_there(lay_out):
    with pytest.raises(LayoutError, match='is no YOLO folder, which has text files'):
        find_layout(DataFolder(lay_out({'a.jpg': None, **FOLDERS['COCO']})), 'yolo')


def test_hidden_files_and_those_of_archives_do_not_count(lay_out):
    hidden = {'__MACOSX/b.json': labelled('a.jpg'), '.git/c.json': coco('a.jpg')}
    folder = lay_out({'a.jpg': None, **hidden, **FOLDERS['COCO']})
    assert find_layout(DataFolder(folder)).name == 'COCO'


def test_links_in_a_circle_end(lay_out):
    folder = lay_out({'a.jpg': None, 'deep/b.jpg': None})
    (folder / 'deep/up').symlink_to(folder)
    assert DataFolder(folder).files == ['a.jpg', 'deep/b.jpg']


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-8'])
def test_texts_of_windows_are_read(objects, encoding):
    import json

    content = json.dumps(coco('ä.jpg'), ensure_ascii=False).encode(encoding)
    assert list(objects({'x.json': content, 'ä.jpg': None})['train']) == ['ä.jpg']
