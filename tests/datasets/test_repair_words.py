"""Each change that a repair makes, with its kind, its item and its words, and what stands in the file after it."""

import copy
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.repair.change import Changes
from swin_mmdet.datasets.repair.write import ToRepair, repaired
from tests.datasets.words import words_of

WIDTH, HEIGHT = 60, 40
IMAGE = dict(id=1, file_name='a.png', width=WIDTH, height=HEIGHT)
POLYGON = [10, 20, 30, 20, 30, 26, 10, 26]
GOOD = dict(id=1, image_id=1, category_id=3, bbox=[10, 20, 20, 6], area=120, iscrowd=0, segmentation=[POLYGON])
DATA = dict(images=[IMAGE], categories=[dict(id=3, name='cat')], annotations=[GOOD])
RLE = dict(size=[HEIGHT, WIDTH], counts=[420, 6, WIDTH * HEIGHT - 426])
TABLE = np.zeros((HEIGHT, WIDTH), int)
TABLE[20:26, 10:30] = 1

# of TABLE, by pycocotools
ENCODED = 'T=6R10000000000000000000000000000000000000lT1'


def ann(**changes):
    """Data whose annotation has other values."""
    return DATA | dict(annotations=[GOOD | changes])


def image(*anns, **changes):
    return DATA | dict(images=[IMAGE | changes], annotations=[GOOD | dict(one) for one in anns or ({},)])


def two(first=(), second=()):
    """Data of two annotations, of which the second has no fault unless it is given one."""
    return DATA | dict(annotations=[GOOD | dict(first), GOOD | dict(id=2) | dict(second)])


CASES = {
    'nothing': DATA,
    **{f'box {box}': ann(bbox=box) for box in (
        [-1, 20, 20, 6], [10, -1, 20, 22], [10, 20, 51, 6], [10, 20, 20, 21], [-1e-7, 20, 20, 6], [-2e-6, 20, 20, 6],
        [59, 20, 20, 6], [59.1, 20, 20, 6], [10, 39, 20, 6], [10, 39.1, 20, 6], [-19, 20, 20, 6], [-19.1, 20, 20, 6],
        [10, -5, 20, 6], [10, -5.1, 20, 6], [10, 20, 1, 1], None, [10, 20, 20], [1, 2, 3, '4'],
    )},
    'box missing, mask of run lengths': ann(bbox=None, segmentation=RLE),
    'neither box nor mask': two(dict(bbox=None, segmentation=None)),
    **{f'area {area!r}': ann(area=area) for area in (
        None, '120', 0, 1, 1.01, -5, 148, 148.1, float('nan'), float('inf'), True)},
    'area of a crowd': two(dict(area=0, iscrowd=1)),
    'area without a mask': two(dict(area=0, segmentation=None)),
    'area of run lengths': ann(area=0, segmentation=RLE, bbox=[10, 20, 1, 6]),
    **{f'iscrowd {flag!r}': two(dict(iscrowd=flag)) for flag in ('0', ' True ', 'no', 'yes', '', 'maybe', 2, None, 1)},
    **{f'ignore {flag!r}': two(dict(ignore=flag)) for flag in ('false', '1', 'NULL', 'perhaps', 0)},
    'all are crowds': ann(iscrowd=1),
    'one of two is a crowd': two(dict(iscrowd=1)),
    **{f'image_id {id!r}': two(dict(image_id=id)) for id in ('1', 1.0, 2, None, [1])},
    **{f'category_id {id!r}': two(dict(category_id=id)) for id in ('3', 3.0, 4, None, {})},
    **{f'id {id!r}': two(dict(id=id)) for id in ('1', 0, 2, None, True, 7)},
    'corners': DATA | dict(annotations=[GOOD | dict(id=id, bbox=[10, 20, 30, 26]) for id in range(1, 4)]),
    'centres': DATA | dict(annotations=[GOOD | dict(id=id, bbox=[20, 23, 20, 6]) for id in range(1, 4)]),
    'fractions': DATA | dict(annotations=[GOOD | dict(id=id, bbox=[1 / 6, 0.5, 1 / 3, 0.15]) for id in range(1, 4)]),
    'corners, one without a box': DATA | dict(
        annotations=[GOOD | dict(id=id, bbox=[10, 20, 30, 26] if id else None) for id in range(4)]),
    'mask turned': ann(segmentation=[[20, 10, 20, 30, 26, 30, 26, 10]]),
    'mask elsewhere': ann(segmentation=[[40, 0, 50, 0, 50, 9]]),
    'mask flat': ann(segmentation=POLYGON),
    'mask of points': ann(segmentation=[[[10, 20], [30, 20], [30, 26], [10, 26]]]),
    'mask of points, once': ann(segmentation=[[10, 20], [30, 20], [30, 26], [10, 26]]),
    'mask of text': ann(segmentation=[[str(value) for value in POLYGON], ['1', '2']]),
    'mask in fractions': ann(segmentation=[[v / (HEIGHT if at % 2 else WIDTH) for at, v in enumerate(POLYGON)]]),
    'mask of bytes': ann(segmentation=dict(size=[HEIGHT, WIDTH], counts=f"b'{ENCODED}'")),
    'mask as a table': ann(segmentation=TABLE.tolist()),
    'mask cut off': two(dict(segmentation=dict(size=[HEIGHT, WIDTH], counts=[5, 5]))),
    'mask cut off, a crowd': two(dict(segmentation=dict(size=[HEIGHT, WIDTH], counts=[5, 5]), iscrowd=1)),
    'mask of one of two missing': two(dict(segmentation=None)),
    'masks of none': two(dict(segmentation=None), dict(segmentation=None)),
    'image of text': image(width='60', height='40'),
    'image without size': image(width=None, height=None),
    'image of zero': image(width=0, height=0),
    'image turned': image(width=HEIGHT, height=WIDTH),
    'image twice as large': image(dict(bbox=[20, 40, 40, 12], area=480, segmentation=[[2 * v for v in POLYGON]]),
                                  width=2 * WIDTH, height=2 * HEIGHT),
    'image of another shape': image(width=60, height=50),
    'image twice as large, without mask and area': image(
        dict(bbox=[20, 40, 40, 12], area=None, segmentation=None), dict(id=2, bbox=None, segmentation=None),
        width=2 * WIDTH, height=2 * HEIGHT),
    'image twice as large, run lengths': image(
        dict(bbox=[10, 20, 2, 6], area=12, segmentation=dict(size=[80, 120], counts=[820, 6, 74, 6, 8694])),
        width=2 * WIDTH, height=2 * HEIGHT),
    'image with backslashes': image(file_name='data\\a.png'),
    'image encoded': image(file_name='%61.png'),
    'image with spaces': image(file_name=' a.png '),
    'image of a path': image(file_name='/elsewhere/a.png'),
    'image of a folder': image(file_name='other/a.png/'),
    'image missing': image(file_name='b.png'),
    'image without a name': DATA | dict(images=[IMAGE, dict(id=2, width=1, height=1), IMAGE | dict(id=None)]),
    'image outside': image(file_name='../a.png'),
    'image twice': DATA | dict(images=[IMAGE, IMAGE | dict(id=5)], annotations=[GOOD, GOOD | dict(id=2, image_id=5)]),
    'image that is none': DATA | dict(images=[IMAGE, IMAGE | dict(id=2, file_name='none.png')]),
    'image that is tiny': DATA | dict(images=[IMAGE, dict(id=2, file_name='tiny.png', width=9, height=2)]),
    'image that is small': DATA | dict(images=[IMAGE, dict(id=2, file_name='small.png', width=9, height=3)]),
    'category twice': DATA | dict(categories=[dict(id=2, name='cat'), dict(id=3, name='cat'), dict(id=4, name='dog')]),
    'category twice, of text': DATA | dict(categories=[dict(id='3', name='cat'), dict(id=4, name='cat')]),
    'category without a name': DATA | dict(categories=[dict(id=3), dict(id=4, name=' '), dict(id=5, name=1.5)]),
    'category without an id': DATA | dict(categories=[dict(name='dog'), dict(id=3, name='cat')]),
}  # fmt: skip


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Images in one folder."""
    path = tmp_path_factory.mktemp('images')
    rng = np.random.default_rng(0)
    for name, size in dict(a=(HEIGHT, WIDTH), tiny=(2, 9), small=(3, 9)).items():
        Image.fromarray(rng.integers(0, 256, size, np.uint8)).save(path / f'{name}.png')
    (path / 'none.png').write_bytes(b'<html>')
    return path


def told(data: dict, folder: Path, tmp_path: Path) -> list[str]:
    """Lines of the changes, and after them one of each thing that is not as it was, or is gone."""
    file = tmp_path / 'a.json'
    file.write_text(json.dumps(copy.deepcopy(data)))
    note = Changes()
    found = repaired(ToRepair('a.json', 'images', file, folder, ImageReader()), CheckOptions(), note)
    lines = [f'{change.kind} | {change.item} | {change.what}' for change in note]
    for part in ('images', 'categories', 'annotations'):
        before = [json.dumps(one) for one in data[part]]
        after = [json.dumps(one) for one in found[part]]
        if len(after) != len(before):
            lines.append(f'{part}: {len(before)} -> {len(after)}')
        lines += [f'{part}: {one}' for one in after if one not in before]
    return lines


@pytest.mark.parametrize('case', CASES)
def test_changes_word_for_word(case: str, folder: Path, tmp_path: Path):
    assert told(CASES[case], folder, tmp_path) == words_of('repair')[case]
