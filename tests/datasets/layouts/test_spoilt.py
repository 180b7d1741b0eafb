"""Healthy folders of each layout, spoilt at random places: read, or refused in a sentence, and never a traceback."""

import copy
import json
import random
import re

import pytest

from swin_mmdet.datasets.layouts import DataFolder, LayoutError, Split, convert, write_folder
from tests.datasets.layouts.test_coco import coco
from tests.datasets.layouts.test_cvat import BOX, POLYGON, image
from tests.datasets.layouts.test_cvat import xml as cvat_xml
from tests.datasets.layouts.test_label_studio import TRIANGLE, result, task
from tests.datasets.layouts.test_labelme import labelled, shape
from tests.datasets.layouts.test_pascal_voc import challenge
from tests.datasets.layouts.test_supervisely_and_datumaro import BITS, META, bitmap, datumaro, sly
from tests.datasets.layouts.test_supervisely_and_datumaro import BOX as DATUM_BOX
from tests.datasets.layouts.test_supervisely_and_datumaro import POLYGON as DATUM_POLYGON
from tests.datasets.layouts.test_supervisely_and_datumaro import shape as sly_shape
from tests.datasets.layouts.test_yolo import ultralytics

MASK = {'classTitle': 'cat', 'geometryType': 'bitmap', 'bitmap': {'origin': [10, 20], 'data': bitmap(BITS)}}
CVAT_MASK = '<mask label="cat" rle="1, 2, 2, 1" left="10" top="20" width="3" height="2"/>'
FOLDERS = {
    'coco': {'x.json': coco('a.jpg', 'b.jpg'), 'a.jpg': None, 'b.jpg': None},
    'yolo': ultralytics(),
    'pascal-voc': challenge(),
    'labelme': {'a.jpg': None, 'b.jpg': None, 'b.json': labelled('b.jpg', shape(group=1), shape(group=1)),
                'a.json': labelled('a.jpg', shape(), shape('dog', [[20, 18], [4, 3]], 'rectangle'))},
    'cvat-xml': {'a.xml': cvat_xml(image('a.jpg', BOX, POLYGON, CVAT_MASK), image('b.jpg', BOX)), 'a.jpg': None,
                 'b.jpg': None},
    'label-studio': {'a.json': [task('a.jpg', result(), TRIANGLE), task('b.jpg', result())], 'a.jpg': None,
                     'b.jpg': None},
    'supervisely': {'meta.json': META, 'd/img/a.jpg': None, 'd/ann/a.jpg.json': sly(sly_shape(), MASK)},
    'datumaro': datumaro(DATUM_BOX, DATUM_POLYGON),
}  # fmt: skip
VALUES = (None, '', 'x', -1, 0, 1e9, 1e400, float('nan'), True, [], {}, [[]], [None], {'a': 1}, '../../a',
          '/etc/passwd', '\udcff', 10**30, 'a\0b', [1, 2, 3])  # fmt: skip
WORDS = (
    '',
    'x',
    '-1',
    '1e9',
    'nan',
    'inf',
    '../../a',
    '/etc/passwd',
    '<',
    '&',
    '\0',
    '9' * 20,
    'ä',
    '1 2',
)
ROUNDS = 60


def places(node, path=()):
    """Every place of a JSON value."""
    yield path
    for key, value in node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ():
        yield from places(value, (*path, key))


def spoil(content, chance):
    """Another value, or none, at one place of JSON; another word at one place of a text."""
    if isinstance(content, str):
        words = [match.span() for match in re.finditer(r'[\w.,;/-]+', content)]
        start, end = chance.choice(words)
        return content[:start] + chance.choice(WORDS) + content[end:]
    content = copy.deepcopy(content)
    path = chance.choice([place for place in places(content) if place])
    node = content
    for key in path[:-1]:
        node = node[key]
    if isinstance(node, dict) and chance.random() < 0.3:
        del node[path[-1]]
    else:
        node[path[-1]] = chance.choice(VALUES)
    return content


@pytest.mark.parametrize('layout', FOLDERS)
def test_a_spoilt_folder_is_read_or_refused_by_name(lay_out, tmp_path, layout):
    refused = 0
    root = lay_out(FOLDERS[layout])
    healthy = {split: len(content['annotations']) for split, content in convert(DataFolder(root)).contents.items()}
    assert sum(healthy.values()) > 1
    texts = [name for name, content in FOLDERS[layout].items() if content]
    for seed in range(ROUNDS):
        chance = random.Random(f'{layout} {seed}')
        name = chance.choice(texts)
        spoilt = spoil(FOLDERS[layout][name], chance)
        (root / name).write_bytes((spoilt if isinstance(spoilt, str) else json.dumps(spoilt)).encode(errors='replace'))
        split = Split(0.5) if 'val' not in healthy else None
        try:
            folder = DataFolder(root)
            write_folder(folder, convert(folder, split).contents, tmp_path / f'out {seed}')
        except LayoutError:
            refused += 1
        lay_out({name: FOLDERS[layout][name]})
    assert refused
