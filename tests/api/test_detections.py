"""Detections of an image: chosen, decoded and given to other libraries, against pycocotools' own decoding."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.api.detections import Detections
from swin_mmdet.api.found import Found
from swin_mmdet.api.pictures import ArrayPicture, Picture
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.errors import UserError

CLASSES = ('cat', 'dog')
SIZE = 30, 40
BOXES = np.array([[1, 2, 4, 8], [0, 0, 2, 2.5], [5, 5, 39.5, 30]], np.float32)
PATH = Path('folder', 'a.jpg')


def bitmaps() -> np.ndarray:
    masks = np.zeros((3, *SIZE), bool)
    masks[0, 2:8, 1:4] = masks[1, :2, :2] = True
    masks[2, 5:30, 5:39] = np.random.default_rng(0).random((25, 34)) > 0.4
    return masks


def detections(masks: bool = True, picture: Picture | None = None, count: int = 3) -> Detections:
    rles = [mask_utils.encode(np.asfortranarray(mask, np.uint8)) for mask in bitmaps()] if masks else None
    found = Found(BOXES, np.array([0.75, 0.5, 0.25], np.float32), np.array([1, 0, 1]), rles)
    found = found.take(np.arange(count))
    return Detections(found, dict(classes=CLASSES, palette='random'), SIZE, picture or Picture(PATH), ImageReader())


def test_columns_and_choices():
    found = detections()
    assert len(found) == 3
    np.testing.assert_array_equal(found.boxes, BOXES)
    assert found.names.tolist() == ['dog', 'cat', 'dog']
    for chosen, expected in [
        (found[found.scores > 0.4], [0, 1]), (found[found.names == 'dog'], [0, 2]), (found[1:], [1, 2]),
        (found[[2, 0]], [2, 0]), (found[-1], [2]), (found[np.int64(1)], [1]), (found[found.labels == 7], []),
    ]:  # fmt: skip
        np.testing.assert_array_equal(chosen.boxes, BOXES[expected])
        np.testing.assert_array_equal(chosen.labels, found.labels[expected])
        np.testing.assert_array_equal(chosen.masks, bitmaps()[expected])
        assert chosen.class_names == CLASSES
    assert [one.scores.tolist() for one in found] == [[0.75], [0.5], [0.25]]
    with pytest.raises(IndexError):
        found[3]
    assert repr(found) == f'Detections(2 dog, 1 cat in {PATH})'
    assert repr(found[:0]) == f'Detections(nothing in {PATH})'
    assert repr(detections(picture=ArrayPicture(Path('v.mp4'), 3, np.zeros((3, 3, 3))))).endswith(' in v.mp4, frame 3)')


def test_masks_are_decoded_where_they_are_looked_at(monkeypatch: pytest.MonkeyPatch):
    masks, expected = detections().masks, bitmaps()
    assert (masks.shape, masks.dtype, len(masks), masks.ndim) == ((3, 30, 40), bool, 3, 3)
    np.testing.assert_array_equal(masks, expected)
    np.testing.assert_array_equal(masks[-1], expected[-1])
    np.testing.assert_array_equal(list(masks), expected)
    np.testing.assert_array_equal(masks[:, 3, 1:3], expected[:, 3, 1:3])
    np.testing.assert_array_equal(masks.sum((1, 2)), expected.sum((1, 2)))
    np.testing.assert_array_equal(masks.areas, expected.sum((1, 2)))
    assert masks[0].dtype == bool
    with pytest.raises(AttributeError, match='masks have no pixels'):
        masks.pixels  # noqa: B018
    decoded = []
    decode = mask_utils.decode
    monkeypatch.setattr(mask_utils, 'decode', lambda rle: decoded.append(rle) or decode(rle))
    few = masks[np.array([True, False, True])][1:]
    assert (few.shape, decoded) == ((1, 30, 40), [])
    few[0]
    assert decoded == [masks.rles[2]]
    assert detections(masks=False).masks is None


def test_coco_takes_the_lines(tmp_path: Path):
    found = detections()
    rows = json.loads(json.dumps(found.to_coco(7)))
    assert rows[0] | {'segmentation': None} == {
        'image_id': 7, 'file_name': 'a.jpg', 'category_id': 2, 'category_name': 'dog', 'bbox': [1, 2, 3, 6],
        'score': 0.75, 'segmentation': None,
    }  # fmt: skip
    truth = tmp_path / 'truth.json'
    truth.write_text(json.dumps(dict(
        images=[dict(id=7, height=30, width=40)], annotations=[],
        categories=[dict(id=1, name='cat'), dict(id=2, name='dog')],
    )))  # fmt: skip
    loaded = COCO(str(truth)).loadRes(rows)
    assert [loaded.cats[one['category_id']]['name'] for one in loaded.dataset['annotations']] == ['dog', 'cat', 'dog']
    for one, mask in zip(loaded.dataset['annotations'], bitmaps()):
        np.testing.assert_array_equal(loaded.annToMask(one), mask)
    assert [row['category_id'] for row in found.to_coco('b', {'dog': 30, 'cat': 20})] == [30, 20, 30]
    assert 'segmentation' not in detections(masks=False).to_coco(1)[0]
    assert 'file_name' not in detections(picture=ArrayPicture()).to_coco(1)[0]


def test_pandas_gets_a_table():
    pytest.importorskip('pandas')
    table = detections().to_pandas()
    assert list(table) == ['x1', 'y1', 'x2', 'y2', 'score', 'label', 'name', 'mask_area']
    np.testing.assert_array_equal(table[['x1', 'y1', 'x2', 'y2']].to_numpy(), BOXES)
    assert table.groupby('name').score.max().to_dict() == {'cat': 0.5, 'dog': 0.75}
    assert table.mask_area.tolist() == bitmaps().sum((1, 2)).tolist()
    assert list(detections(masks=False, count=0).to_pandas()) == list(table)[:-1]


@pytest.mark.parametrize('count', [3, 0])
def test_supervision_gets_its_detections(count: int):
    supervision = pytest.importorskip('supervision')
    theirs = detections(count=count).to_supervision()
    assert isinstance(theirs, supervision.Detections)
    assert len(theirs) == count
    np.testing.assert_array_equal(theirs.xyxy, BOXES[:count])
    np.testing.assert_array_equal(theirs.mask, bitmaps()[:count])
    np.testing.assert_array_equal(theirs.class_id, [1, 0, 1][:count])
    assert theirs['class_name'].tolist() == ['dog', 'cat', 'dog'][:count]
    if count:
        np.testing.assert_array_equal(theirs.area, bitmaps().sum((1, 2)))
        kept = theirs[theirs.confidence > 0.4]
        assert kept['class_name'].tolist() == ['dog', 'cat']
    assert detections(masks=False).to_supervision().mask is None


@pytest.mark.parametrize('package', ['pandas', 'supervision'])
def test_a_missing_package_is_one_sentence(package: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, package, None)
    with pytest.raises(UserError) as error:
        getattr(detections(), f'to_{package}')()
    assert str(error.value) == f'to_{package}() needs the package {package}: pip install {package}'


def test_drawings(tmp_path: Path):
    image = np.full((600, 800, 3), (10, 120, 200), np.uint8)
    masks = np.zeros((1, 600, 800), bool)
    masks[0, 300:400, 500:700] = True
    rles = [mask_utils.encode(np.asfortranarray(masks[0], np.uint8))]
    found = Found(np.array([[500, 300, 700, 400]], np.float32), np.array([0.9], np.float32), np.array([0]), rles)
    meta = dict(classes=CLASSES, palette=[(255, 0, 0), (0, 255, 0)])
    found = Detections(found, meta, (600, 800), ArrayPicture(array=image), ImageReader())
    picture = found.plot()
    assert (picture.shape, picture.dtype) == ((600, 800, 3), np.uint8)
    # 40 % of the class's red, and nothing where nothing is
    np.testing.assert_allclose(picture[350, 600], [10 * 0.6 + 255 * 0.4, 120 * 0.6, 200 * 0.6], atol=1)
    np.testing.assert_array_equal(picture[100, 100], image[0, 0])
    assert (image == (10, 120, 200)).all()
    found.save(tmp_path / 'new' / 'drawn.png')
    with pytest.raises(UserError, match=r'drawn\.text: no picture can be written there'):
        found.save(tmp_path / 'drawn.text')
