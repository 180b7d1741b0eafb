"""LabelMe folders, against outlines worked out by hand."""

import base64
import io
import json

import numpy as np
import pycocotools.mask as rle_codec
import pytest
from PIL import Image

from swin_mmdet.datasets.layouts import DataFolder, convert

SQUARE, TRIANGLE = [[4, 3], [20, 3], [20, 18], [4, 18]], [[0, 0], [20, 0], [0, 15]]
CAT = ('cat', [4.0, 3.0, 16.0, 15.0], [[4.0, 3.0, 20.0, 3.0, 20.0, 18.0, 4.0, 18.0]])
DOG = ('dog', [0.0, 0.0, 20.0, 15.0], [[0.0, 0.0, 20.0, 0.0, 0.0, 15.0]])


def shape(label='cat', points=SQUARE, kind='polygon', group=None, **more):
    return {'label': label, 'points': points, 'shape_type': kind, 'group_id': group, 'flags': {}, **more}


def labelled(name, *shapes, **more):
    return {'version': '5.4', 'flags': {}, 'shapes': list(shapes), 'imagePath': name, 'imageData': None,
            'imageHeight': 30, 'imageWidth': 40, **more}  # fmt: skip


def picture(bits):
    file = io.BytesIO()
    Image.fromarray(bits).save(file, 'PNG')
    return base64.b64encode(file.getvalue()).decode()


def test_polygons_and_rectangles_beside_the_images(objects):
    files = {'a.jpg': None, 'b.jpg': None, 'unlabelled.jpg': None, 'b.json': labelled('b.jpg'),
             'a.json': labelled('a.jpg', shape(), shape('dog', [[20, 18], [4, 3]], 'rectangle'))}  # fmt: skip
    box = ('dog', [4.0, 3.0, 16.0, 15.0], None)
    assert objects(files) == {'train': {'a.jpg': [CAT, box], 'b.jpg': []}}


@pytest.mark.parametrize('named', ['../images/a.jpg', '..\\images\\a.jpg', 'C:\\Users\\me\\a.jpg', 'gone/a.jpg'])
def test_splits_in_folders_of_images_and_files(objects, named):
    files = {'train/images/a.jpg': None, 'train/labels/a.json': labelled(named, shape()),
             'val/images/a.jpg': None, 'val/labels/a.json': labelled(named, shape('dog', TRIANGLE))}  # fmt: skip
    assert objects(files) == {'train': {'train/images/a.jpg': [CAT]}, 'val': {'val/images/a.jpg': [DOG]}}


def test_shapes_of_a_group_are_one_object(objects):
    shapes = shape(group=1), shape('dog', TRIANGLE, group=1), shape(points=TRIANGLE, group=1), shape(group=2)
    (read,) = objects({'a.jpg': None, 'a.json': labelled('a.jpg', *shapes)})['train'].values()
    assert read == [('cat', [0.0, 0.0, 20.0, 18.0], [*CAT[2], *DOG[2]]), DOG, CAT]


def test_masks_are_placed_where_their_corner_is(objects):
    bits = np.zeros((3, 5), bool)
    bits[0, 1:4] = bits[2, 2] = True
    mask = shape('dog', [[10, 20], [14, 22]], 'mask', mask=picture(bits))
    ((name, box, rle),) = objects({'a.jpg': None, 'a.json': labelled('a.jpg', mask)})['train']['a.jpg']
    whole = np.zeros((30, 40), bool)
    whole[20, 11:14] = whole[22, 12] = True
    assert (name, box) == ('dog', [11.0, 20.0, 3.0, 3.0])
    assert (rle_codec.decode(rle) == whole).all()


def test_a_circle_has_the_area_of_a_circle(objects):
    circle = shape(points=[[20, 15], [20, 5]], kind='circle')
    ((_, box, (outline,)),) = objects({'a.jpg': None, 'a.json': labelled('a.jpg', circle)})['train']['a.jpg']
    assert box == pytest.approx([10, 5, 20, 20], abs=0.1)
    assert rle_codec.area(rle_codec.frPyObjects([outline], 30, 40))[0] == pytest.approx(np.pi * 100, rel=0.02)


def test_what_is_no_object_is_left_out_and_said(lay_out):
    shapes = (shape(), shape(points=[[1, 2]], kind='point'), shape(points=[[1, 2], [3, 4]], kind='line'),
              shape('__ignore__'))  # fmt: skip
    read = convert(DataFolder(lay_out({'a.jpg': None, 'b.jpg': None, 'a.json': labelled('a.jpg', *shapes)})))
    assert len(read.contents['train']['annotations']) == 1
    assert [note for note in read.notes if 'left out' in note] == [
        'left out: shapes that are points or lines (2)', 'left out: shapes named __ignore__ (1)',
        'left out: images without a JSON file, which were not labelled (1)',
    ]  # fmt: skip


@pytest.mark.parametrize(('content', 'said'), [
    (labelled('a.jpg', shape(points=TRIANGLE[:2])), 'a.json, shape 1: 2 points; polygon has 3 or more'),
    (labelled('a.jpg', shape(), shape(points=[[1, 2, 3]] * 3)), 'shape 2: its points are no pairs'),
    (labelled('a.jpg', shape(points=[*SQUARE, [1, None]])), 'a coordinate is None'),
    (labelled('a.jpg', shape(points=[*SQUARE, [1, 1e12]])), 'a coordinate is 1000000000000.0'),
    (labelled('a.jpg', shape(label='')), 'shape 1: it has no label'),
    (labelled('a.jpg', shape(kind='spline')), "shape_type 'spline' is not known"),
    (labelled('a.jpg', shape(points=[[0, 0], [4, 4]], kind='mask', mask='????')), 'its mask is no picture'),
    (labelled('a.jpg', 7), 'shape 1: there is a int in the place of an object'),
    (labelled('a.jpg', shape(), imageWidth='wide'), "imageWidth is 'wide'"),
    (labelled('a.jpg', shape(), imageWidth=10**6, imageHeight=10**6), 'correct its size'),
    (labelled('b.jpg', shape(), imagePath='../../../etc/passwd.jpg') , None),
    (labelled('a.jpg'), 'without a single object'),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_faults_are_named(refusal, objects, content, said):
    files = {'a.jpg': None, 'a.json': content}
    if said is None:  # nothing out there is opened: the image of the file's own name is
        assert objects(files) == {'train': {'a.jpg': [CAT]}}
    else:
        assert said in refusal(files)


def test_files_of_another_kind_are_said_and_broken_ones_are_an_error(lay_out, refusal):
    files = {'a.jpg': None, 'a.json': labelled('a.jpg', shape()), 'settings.json': {'zoom': 3}}
    notes = convert(DataFolder(lay_out(files))).notes
    assert "left out: JSON files without 'shapes' and 'imagePath' (1)" in notes
    assert 'b.json is not valid JSON' in refusal(files | {'b.json': json.dumps(labelled('b.jpg'))[:-9]})
    many = {f'{i:03}.json': labelled('a.jpg') for i in range(30)}
    # those beyond the first few, which decide what a folder is, are judged as well
    assert "'imagePath' (3)" in str(convert(DataFolder(lay_out({**files, **many, 'z.json': [], 'b.json': {}}))).notes)


def test_a_missing_image_and_a_name_that_fits_several(refusal):
    assert '1 image with annotations not in' in refusal({'c/b.jpg': None, 'a.json': labelled('a.jpg', shape())})
    files = {'x/a.jpg': None, 'y/a.jpg': None, 'labels/a.json': labelled('a.jpg', shape())}
    assert 'a.jpg may be x/a.jpg, y/a.jpg' in refusal(files)
