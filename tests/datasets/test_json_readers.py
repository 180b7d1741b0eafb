"""The fast reader of JSON gives what Python's gives, also where it refuses what Python's takes."""

import math
import sys
from pathlib import Path

import pytest

from swin_mmdet.datasets.json_file import CocoFileError, read_json

WITH = pytest.mark.parametrize('reader', ['msgspec', 'json'])


@pytest.fixture
def read(reader: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """read(text of the info) -> what stands there."""
    if reader == 'json':
        monkeypatch.setitem(sys.modules, 'msgspec', None)
    else:
        pytest.importorskip('msgspec')

    def read_info(text: str) -> object:
        path = tmp_path / 'one.json'
        path.write_text(f'{{"images": [], "annotations": [], "categories": [], "info": {text}}}')
        return read_json(path)['info']

    return read_info


@WITH
@pytest.mark.parametrize(('text', 'value'), [
    ('0.1', 0.1),
    ('2.50', 2.5),
    # a number that no integer of 64 bits holds, as ids of some programs are
    ('123456789012345678901234567890', 123456789012345678901234567890),
    ('1e400', math.inf),
    ('-Infinity', -math.inf),
    # half of a pair
    (r'"\ud800"', '\ud800'),
    (r'"\u00e9 \ud83d\ude00"', 'é 😀'),
    ('{"a": 1, "a": 2}', {'a': 2}),
    ('[true, null, "", -0]', [True, None, '', 0]),
])  # fmt: skip
def test_values_of_json_and_those_that_only_python_takes(read, text: str, value: object):
    found = read(text)
    assert found == value
    assert type(found) is type(value)


@WITH
def test_what_is_no_number_stays_so(read):
    assert math.isnan(read('NaN'))


@WITH
@pytest.mark.parametrize(('text', 'says'), [('01', "Expecting ',' delimiter"), ('[' * 3000, 'nested without end')])
def test_errors_are_those_of_python(read, text: str, says: str):
    with pytest.raises(CocoFileError, match=says):
        read(text)
