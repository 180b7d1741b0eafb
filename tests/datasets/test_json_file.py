"""What is in a file instead of COCO annotations: each kind told by all of its marks, and by no fewer."""

import json
import re
from pathlib import Path

import pytest

from swin_mmdet.datasets.json_file import CocoFileError, foreign_kind, read_json

EMPTY = dict(images=[], annotations=[], categories=[])


@pytest.mark.parametrize(
    ('data', 'kind'),
    [
        ([dict(image_id=1, category_id=1, score=1)], 'it is a list of detections, the result of a model'),
        ([dict(image_id=1, category_id=1)], "it is a list of annotations alone, without 'images' and 'categories'"),
        *(([dict(image_id=1, score=1)], ''), ([dict(category_id=1, score=1)], '')),
        ([dict(data=1, annotations=[])], 'it is an export of Label Studio: export as COCO'),
        ([dict(data=1, completions=[])], 'it is an export of Label Studio: export as COCO'),
        *(([dict(data=1)], ''), ([dict(completions=1)], ''), ([dict(annotations=1)], '')),
        ([{'Label': 1, 'External ID': 1}], 'it is an export of Labelbox: export as COCO'),
        *(([{'Label': 1}], ''), ([{'External ID': 1}], '')),
        ([dict(image='a', annotations=[])], 'it is in the format of CreateML: export as COCO'),
        *(([dict(image='a')], ''), ([], ''), ([[1]], ''), ('text', ''), (None, ''), (7, '')),
        (dict(annotations=[dict(segments_info=[])]), 'it has panoptic annotations, not instances'),
        (dict(annotations=[dict(caption='a')]), 'it has captions, not instances'),
        *((dict(annotations=[]), ''), (dict(annotations=['caption']), ''), (dict(annotations=None), '')),
        (dict(shapes=[], imagePath='a'), 'it is one image of LabelMe: convert the folder'),
        *((dict(shapes=[]), ''), (dict(imagePath='a'), '')),
        *((dict(type=name), 'it is GeoJSON, in coordinates of a map') for name in ('FeatureCollection', 'Feature')),
        (dict(type='Point'), ''),
        *(({name: {}}, 'it is a project of VIA: export annotations as COCO')
          for name in ('_via_img_metadata', '_via_settings')),
        ({'a.jpg12': dict(regions=[])}, 'it is an export of VIA: export annotations as COCO'),
        ({'a.jpg12': dict(regions=[]), 'b.jpg3': []}, 'it is an export of VIA: export annotations as COCO'),
        *(({'a.jpg12': dict(regions=[]), 'b.jpg3': {}}, ''), ({'a.jpg12': dict(region=1)}, ''), ({}, '')),
        (dict(videos=[], images=[]), 'it has annotations of videos'),
        (dict(annotations={'1': {}}), 'it is an index of annotations, not a list'),
        (dict(annotations={'1': {}}, images=[]), ''),
    ],
    ids=str,
)  # fmt: skip
def test_foreign_kinds(data: object, kind: str):
    assert foreign_kind(data) == kind


def refused(path: Path, content: bytes | str, **options) -> str:
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    with pytest.raises(CocoFileError) as caught:
        read_json(path, **options)
    assert str(caught.value).startswith(f'{path} ')
    return str(caught.value).removeprefix(f'{path} ')


INVALID = 'is not valid JSON: '
CUT = '; it ends in the middle, as if cut off: copy or export it again'


@pytest.mark.parametrize(
    ('content', 'words'),
    [
        *((b'', f'{INVALID}the file is empty'), (b' \n', f'{INVALID}the file is empty')),
        (b'\n<xml>', f'{INVALID}it begins with <, as XML and HTML do'),
        (b'PK\x03\x04...', f'{INVALID}it is a zip archive: unpack it'),
        ('[' * 100_000, f'{INVALID}it is nested without end'),
        ('[1, 2]', 'is no COCO annotation file: it holds a list, not an object'),
        ('"a"', 'is no COCO annotation file: it holds a str, not an object'),
        ('[{"Label": 1, "External ID": 2}]',
         'is no COCO annotation file: it is an export of Labelbox: export as COCO'),
        ('{"images": [1], "categories": []}', "is no COCO annotation file: 'images' is no list of objects"),
        ('{"images": [], "categories": {}}', "is no COCO annotation file: 'categories' is no list of objects"),
        ('{"images": [], "categories": [], "annotations": null}',
         "is no COCO annotation file: 'annotations' is no list of objects"),
        ('{"shapes": [], "imagePath": "a"}',
         "is no COCO annotation file: 'images' is no list of objects; it is one image of LabelMe: convert the folder"),
        ('{"images": [], "images": [], "categories": []}',
         "has 'images' twice, of which all but the last would be lost: merge them"),
        ('{"images": [], "categories": [], "categories": []}',
         "has 'categories' twice, of which all but the last would be lost: merge them"),
        ('\ufeff{}', 'is not valid JSON for the loader: it begins with a UTF-8 BOM; '
                     'save it as UTF-8 without a byte order mark'),
        ('{"a": 1}'.encode('utf-16'), 'is not valid JSON for the loader: its text is UTF-16; save it as UTF-8'),
        (b'{"a": "caf\xe9"}', f'{INVALID}its text is not UTF-8 (byte 10 is 0xe9); save it as UTF-8'),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_what_is_refused(tmp_path: Path, content: bytes | str, words: str):
    assert refused(tmp_path / 'a.json', content) == words


@pytest.mark.parametrize(
    ('text', 'is_cut'),
    [
        *(('{"images": [{"id": 1, "fi', True), ('{"images": [', True), ('{"images": [ \n\n', True), ('{"a": 1', True)),
        *(('{"a": 1,}  "b": 2}', False), ('{"a" 1}', False), ('{\'images\': []}', False)),
    ],
)
def test_a_file_that_ends_in_the_middle(tmp_path: Path, text: str, is_cut: bool):
    assert refused(tmp_path / 'a.json', text).endswith(CUT) == is_cut


def test_no_file_is_one_that_cannot_be_read(tmp_path: Path):
    with pytest.raises(CocoFileError, match=f'^{re.escape(str(tmp_path))} cannot be read: .*directory'):
        read_json(tmp_path)


def test_a_key_twice_is_lost_silently_nowhere_but_in_the_lists(tmp_path: Path):
    text = json.dumps(EMPTY | dict(info=dict(a=1)))[:-1]
    (tmp_path / 'a.json').write_text(f'{text}, "info": {{"images": 1, "images": 2}}}}')
    refused(tmp_path / 'a.json', (tmp_path / 'a.json').read_text())
    (tmp_path / 'a.json').write_text(f'{text}, "info": {{"b": 1, "b": 2}}}}')
    assert read_json(tmp_path / 'a.json') == EMPTY | dict(info=dict(b=2))


def test_a_file_of_test_images_has_no_annotations(tmp_path: Path):
    (tmp_path / 'a.json').write_text('{"images": [{"id": 1}], "categories": []}')
    assert read_json(tmp_path / 'a.json') == EMPTY | dict(images=[dict(id=1)])


@pytest.mark.parametrize('encoding', ['utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be'])
def test_a_repair_reads_other_encodings(tmp_path: Path, encoding: str):
    data = EMPTY | dict(categories=[dict(id=1, name='caf\u00e9')])
    (tmp_path / 'a.json').write_bytes(json.dumps(data, ensure_ascii=False).encode(encoding))
    assert read_json(tmp_path / 'a.json', repair=True) == data


def test_neither_utf_8_nor_utf_16(tmp_path: Path):
    content = '{"images": []}'.encode('utf-16') + b'\x00'
    words = f'{INVALID}its text is neither UTF-8 nor UTF-16'
    assert refused(tmp_path / 'a.json', content, repair=True) == words
