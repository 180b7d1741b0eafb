"""How a file of text is written, against Python's own codecs, and both readers that ask."""

import json
from pathlib import Path

import pytest

from swin_mmdet.datasets.coco_file import CocoFileError
from swin_mmdet.datasets.json_file import read_json
from swin_mmdet.datasets.layouts import DataFolder
from swin_mmdet.datasets.text_encoding import encoding_of

ENCODINGS = 'utf-8', 'utf-8-sig', 'utf-16', 'utf-16-le', 'utf-16-be'
COCO = {'images': [], 'annotations': [], 'categories': [{'id': 1, 'name': 'Bär'}]}


@pytest.mark.parametrize('encoding', ENCODINGS)
@pytest.mark.parametrize('text', ['{"name": "Bär"}', ' \n[1]', 'ab'])
def test_it_is_told_by_the_first_bytes(text: str, encoding: str):
    assert encoding_of(text.encode(encoding)) == encoding
    assert text.encode(encoding).decode(encoding_of(text.encode(encoding))) == text


@pytest.mark.parametrize('encoding', ENCODINGS)
def test_both_readers_read_all_of_them(encoding: str, tmp_path: Path):
    file = tmp_path / 'labels.json'
    file.write_bytes(json.dumps(COCO, ensure_ascii=False).encode(encoding))
    assert DataFolder(tmp_path).json('labels.json') == COCO
    assert read_json(file, repair=True) == COCO
    if encoding != 'utf-8':
        with pytest.raises(CocoFileError, match='is not valid JSON for the loader'):
            read_json(file)
