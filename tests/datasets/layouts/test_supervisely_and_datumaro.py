"""Projects of Supervisely and of Datumaro, against outlines worked out by hand."""

import base64
import io
import zlib

import numpy as np
import pycocotools.mask as rle_codec
import pytest
from PIL import Image

CORNERS, TRIANGLE = [[4, 3], [20, 18]], [[0, 0], [20, 0], [0, 15]]
CAT = ('cat', [4.0, 3.0, 16.0, 15.0], None)
DOG = ('dog', [0.0, 0.0, 20.0, 15.0], [[0.0, 0.0, 20.0, 0.0, 0.0, 15.0]])
BITS = np.array([[0, 1, 1], [0, 0, 1]], bool)
WHOLE = np.zeros((30, 40), bool)
WHOLE[20, 11:13] = WHOLE[21, 12] = True
META = {'classes': [{'title': 'dog', 'shape': 'polygon'}, {'title': 'cat', 'shape': 'rectangle'}], 'tags': []}


def shape(label='cat', kind='rectangle', points=CORNERS, holes=(), **more):
    return {'classTitle': label, 'geometryType': kind, 'points': {'exterior': points, 'interior': list(holes)}, **more}


def sly(*objects, size=None):
    return {'description': '', 'tags': [], 'size': size or {'height': 30, 'width': 40}, 'objects': list(objects)}


def project(content):
    return {'meta.json': META, 'd/img/a.jpg': None, 'd/ann/a.jpg.json': content}


def bitmap(bits, alpha=False):
    file = io.BytesIO()
    picture = Image.fromarray(bits.astype(np.uint8) * 255)
    if alpha:  # as its own library packs it
        picture = Image.merge('RGBA', [Image.new('L', picture.size, 255)] * 3 + [picture])
    picture.save(file, 'PNG')
    return base64.b64encode(zlib.compress(file.getvalue())).decode()


def test_a_project_of_data_sets(objects):
    both = sly(shape(), shape('dog', 'polygon', TRIANGLE))
    files = {'meta.json': META, 'train/img/a.jpg': None, 'train/ann/a.jpg.json': both,
             'train/img/b.jpg': None, 'train/ann/b.jpg.json': sly(), 'val/img/c.jpg': None,
             'val/ann/c.json': sly(shape())}  # fmt: skip
    train = {'train/img/a.jpg': [CAT, DOG], 'train/img/b.jpg': []}
    assert objects(files) == {'train': train, 'val': {'val/img/c.jpg': [CAT]}}


@pytest.mark.parametrize('alpha', [False, True])
def test_bitmaps_of_supervisely(objects, alpha):
    thing = {'classTitle': 'cat', 'geometryType': 'bitmap', 'bitmap': {'origin': [10, 20], 'data': bitmap(BITS, alpha)}}
    ((_, box, rle),) = objects(project(sly(thing)))['train']['d/img/a.jpg']
    assert box == [11.0, 20.0, 2.0, 2.0]
    assert (rle_codec.decode(rle) == WHOLE).all()


def test_holes_are_no_part_of_an_object(objects):
    square = shape('dog', 'polygon', [[0, 0], [20, 0], [20, 20], [0, 20]], [[[5, 5], [10, 5], [10, 10], [5, 10]]])
    ((_, box, rle),) = objects(project(sly(square)))['train']['d/img/a.jpg']
    expected = np.zeros((30, 40), bool)
    expected[:20, :20] = True
    expected[5:10, 5:10] = False
    assert (box, (rle_codec.decode(rle) == expected).all()) == ([0.0, 0.0, 20.0, 20.0], True)


@pytest.mark.parametrize(('content', 'said'), [
    (sly(shape('cow')), 'classes that are not listed: cow; there are dog, cat'),
    (sly(shape(points=[[1, 2]])), 'object 1: its points are not 2 or more pairs'),
    (sly(shape(points=[[1, 2], [3, 'x']])), "a coordinate is 'x'"),
    (sly(shape(kind='splat')), "geometryType 'splat' is not known"),
    (sly(shape(), size={'height': 30}), 'width is None'),
    (sly({'classTitle': 'cat', 'geometryType': 'bitmap', 'bitmap': {'origin': [1, 1], 'data': 'x'}}), 'cannot be'),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_faults_of_supervisely_are_named(refusal, content, said):
    assert said in refusal(project(content))


def ann(kind, label=1, **more):
    return {'id': 0, 'type': kind, 'label_id': label, 'group': 0, 'attributes': {}, **more}


BOX = ann('bbox', bbox=[4, 3, 16, 15])
POLYGON = ann('polygon', 0, points=[0, 0, 20, 0, 0, 15])


def subset(*items):
    labels = [{'name': name, 'parent': ''} for name in ('dog', 'cat')]
    return {'info': {}, 'categories': {'label': {'labels': labels}}, 'items': list(items)}


def item(name, *annotations, size=(30, 40)):
    return {'id': name, 'annotations': list(annotations), 'image': {'path': f'{name}.jpg', 'size': list(size)}}


def datumaro(*annotations, **changes):
    return {'annotations/train.json': subset(item('a', *annotations), item('sub/b')), 'images/train/a.jpg': None,
            'images/train/sub/b.jpg': None, **changes}  # fmt: skip


def test_subsets_of_datumaro(objects):
    val = {'annotations/validation.json': subset(item('a', BOX)), 'images/validation/a.jpg': None}
    assert objects(datumaro(BOX, POLYGON, **val)) == {
        'train': {'images/train/a.jpg': [CAT, DOG], 'images/train/sub/b.jpg': []},
        'val': {'images/validation/a.jpg': [CAT]},
    }  # fmt: skip


def test_a_group_of_datumaro_is_one_object(objects):
    grouped = POLYGON | {'group': 3}, ann('bbox', 0, bbox=[0, 0, 20, 15], group=3), BOX | {'group': 3}
    assert objects(datumaro(*grouped))['train']['images/train/a.jpg'] == [DOG, CAT]


def test_masks_of_datumaro(objects):
    rle = rle_codec.encode(np.asfortranarray(WHOLE, np.uint8))
    # what is not compressed: the lengths of what is equal, column by column, 0s first
    pixels = np.concatenate([[0], WHOLE.T.ravel().astype(int), [-1]])
    lengths = np.diff(np.flatnonzero(np.diff(pixels)), prepend=0).tolist()
    for counts in (rle['counts'].decode(), lengths):
        mask = ann('mask', rle={'size': [30, 40], 'counts': counts})
        ((_, box, read),) = objects(datumaro(mask))['train']['images/train/a.jpg']
        assert (box, (rle_codec.decode(read) == WHOLE).all()) == ([11.0, 20.0, 2.0, 2.0], True)


@pytest.mark.parametrize(('annotation', 'said'), [
    (BOX | {'label_id': 2}, 'label_id is 2, and there are 2 classes'),
    (BOX | {'bbox': [1, 2, 3]}, 'bbox is [1, 2, 3], not [x, y, width, height]'),
    (POLYGON | {'points': [1, 2, 3, 4]}, 'a polygon of 4 values'),
    (POLYGON | {'points': [1, 2, 3, 4, 5, None]}, 'a coordinate is None'),
    (ann('mask', rle={'size': [30, 41], 'counts': '1'}), 'run lengths of [30, 41] for an image of [30, 40]'),
    (ann('mask', rle={'size': [30, 40], 'counts': '1'}), 'cannot be decoded'),
    (ann('scribble'), "of type 'scribble'"),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_faults_of_datumaro_are_named(refusal, annotation, said):
    assert said in refusal(datumaro(annotation))
