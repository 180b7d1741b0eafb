"""What each reader makes of a folder, whole: its notes and objects, or the words with which it refuses."""

import base64
import io
import json
import zlib
from pathlib import Path

import numpy as np
import pycocotools.mask as rle_codec
import pytest
from PIL import Image

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.datasets.layouts import DataFolder, LayoutError, Split, convert
from tests.datasets.words import words_of

WIDTH, HEIGHT = 40, 30
CORNERS, TRIANGLE = [[4, 3], [20, 18]], [[0, 0], [20, 0], [0, 15.123]]
BITS = np.array([[0, 255, 255], [0, 0, 255]], np.uint8)


def packed(kind='PNG', mode='L') -> bytes:
    """BITS as a picture; in a mode with transparency they are that alone."""
    file, picture = io.BytesIO(), Image.fromarray(BITS)
    if mode != 'L':
        picture = Image.merge(mode, [Image.new('L', picture.size, 255)] * (len(mode) - 1) + [picture])
    picture.save(file, kind)
    return file.getvalue()


def text(content: bytes) -> str:
    return base64.b64encode(content).decode()


def files(*names: str, **more) -> dict:
    return dict.fromkeys(names) | more


# LabelMe
def shape(label='cat', kind='rectangle', points=CORNERS, **more):
    return dict(label=label, points=points, shape_type=kind, group_id=None, **more)


def labelme(*shapes, size=(WIDTH, HEIGHT), **more):
    content = dict(version='5', imagePath='a.jpg', shapes=list(shapes), imageWidth=size[0], imageHeight=size[1])
    return {'a.jpg': None, 'a.json': content | more}


MASK = dict(label='cat', shape_type='mask', points=[[10, 20], [12, 21]], mask=text(packed()))
LABELME = {
    'kinds': labelme(
        shape(), shape('dog', 'polygon', TRIANGLE), shape('dog', None, TRIANGLE),
        shape('o', 'circle', [[9, 9], [9, 13]]),
        shape('turned', 'oriented_rectangle', [[0, 0], [4, 0], [4, 4], [0, 4]]), MASK),
    'no objects': labelme(*[shape(kind=kind) for kind in ('point', 'points', 'line', 'linestrip')],
                          shape('__ignore__'), shape('_background_'), shape()),
    'groups': labelme(*[one | dict(group_id=number) for number in (1, 2) for one in (
        shape('dog', 'polygon', TRIANGLE), shape('dog'), shape('cat'))], MASK | dict(group_id=1),
        shape('cat', 'polygon', TRIANGLE) | dict(group_id=1), shape('b') | dict(group_id=0),
        shape('b', points=[[30, 30], [21, 19]]) | dict(group_id=0)),
    'two points are too few': labelme(shape(kind='polygon', points=CORNERS)),
    'three points are too many': labelme(shape(kind='circle', points=TRIANGLE)),
    'three points of a rectangle': labelme(shape(kind='rectangle', points=TRIANGLE)),
    'three corners of a turned one': labelme(shape(kind='oriented_rectangle', points=TRIANGLE)),
    'one point': labelme(shape(points=[[1, 2]])),
    'points of one value': labelme(shape(points=[[1], [2]])),
    'points of text': labelme(shape(points=[[1, 'x'], [2, 3]])),
    'points beyond all': labelme(shape(points=[[1, 1e7], [2, 3]])),
    'no label': labelme(shape(label='')),
    'unknown kind': labelme(shape(kind='splat')),
    'shapes are no list': labelme() | {'a.json': labelme()['a.json'] | dict(shapes={})},
    'a shape is no object': labelme(7),
    'a mask without a size': labelme(MASK, imageWidth=None),
    'a mask that is none': labelme(MASK | dict(mask='x')),
    'a mask that is missing': labelme({key: MASK[key] for key in ('label', 'shape_type', 'points')}),
    'a size of text': labelme(shape(), size=('x', 30)),
    'a size that is no whole number': labelme(shape(), size=(40.5, 30)),
    'no size': labelme(shape(), size=(0, 0)),
    'images that were not labelled': labelme(shape()) | files('b.jpg', 'c.jpg'),
    'other files': labelme(shape()) | {'x.json': dict(flags=1), 'b.json': labelme(shape())['a.json']},
    'without imagePath': {'a.jpg': None, 'a.json': dict(shapes=[shape()], imageHeight=30, imageWidth=40)},
    'named otherwise': labelme(shape(), imagePath='C:\\x\\b.jpg'),
    'missing': {'b.json': labelme(shape(), imagePath='z.jpg')['a.json']} | files('c.jpg'),
    'splits': {f'{split}/{name}': content for split in ('train', 'valid', 'test')
               for name, content in labelme(shape(split)).items()},
    'no object at all': labelme(),
    'two sizes': labelme(shape()) | {'b.json': labelme(shape(), size=(20, 30))['a.json']},
    'a size beyond all': labelme(shape(), size=(10**5, 10**5)),
}  # fmt: skip


# CVAT
HEAD = (
    '<annotations><meta><task><labels><label><name>dog</name><type>any</type></label><label><name>cat</name></label>'
    '<label><name>bones</name><type>skeleton</type></label><label><name>dot</name><type>points</type></label>'
    '<label><name>day</name><type>tag</type></label><label><name>knee</name><parent>bones</parent></label>'
    '<label><name> </name></label></labels><original_size><width>40</width><height>30</height></original_size>'
    '</task></meta>'
)
BOX = '<box label="cat" xtl="4.00" ytl="3.00" xbr="20.00" ybr="18.00"{more}/>'
POLYGON = '<polygon label="dog" points="0.00,0.00;20.00,0.00;0.00,15.00"{more}/>'
RUNS = '<mask label="cat" rle="1, 2, 2, 1" left="10" top="20" width="3" height="2"{more}/>'
ELLIPSE = '<ellipse label="cat" cx="20" cy="15" rx="10" ry="5"{more}/>'


def cvat(*shapes: str, head=HEAD, image='name="a.jpg" width="40" height="30"', **more) -> dict:
    inner = ''.join(one.replace('{more}', '') for one in shapes)
    return {'a.jpg': None, 'x.xml': f'{head}<image id="0" {image}>{inner}</image></annotations>', **more}


def tracks(*nodes: str, head=HEAD, **more) -> dict:
    track = f'<track id="0" label="dog">{"".join(nodes)}</track>'
    return {'f_1.png': None, 'f_2.png': None, 'x.xml': f'{head}{track}</annotations>', **more}


def at(node: str, frame: object, outside: int = 0) -> str:
    return node.replace('{more}', f' frame="{frame}" outside="{outside}"')


CVAT = {
    'kinds': cvat(BOX, POLYGON, RUNS, ELLIPSE, *[f'<{tag} label="cat"/>' for tag in (
        'polyline', 'points', 'skeleton', 'cuboid', 'tag')]),
    'turned': cvat(BOX.replace('{more}', ' rotation="90"'), ELLIPSE.replace('{more}', ' rotation="30"')),
    'groups': cvat(*[one.replace('{more}', f' group_id="{group}"') for group in (0, 3, 4)
                     for one in (POLYGON, POLYGON, BOX, RUNS, ELLIPSE)]),
    'a value of text': cvat(BOX.replace('"3.00"', '"y"')),
    'a value that is missing': cvat(BOX.replace('ybr="18.00"', '')),
    'a rotation of text': cvat(BOX.replace('{more}', ' rotation="x"')),
    'a rotation of an ellipse of text': cvat(ELLIPSE.replace('{more}', ' rotation="x"')),
    'an ellipse of text': cvat(ELLIPSE.replace('"10"', '"x"')),
    'two points': cvat(POLYGON.replace(';0.00,15.00', '')),
    'points of three values': cvat(POLYGON.replace('0.00,15.00', '0.00,15.00,1')),
    'no points': cvat(POLYGON.replace('points="0.00,0.00;20.00,0.00;0.00,15.00"', '')),
    'a coordinate of text': cvat(POLYGON.replace('0.00,15.00', '0.00,x')),
    'runs of text': cvat(RUNS.replace('1, 2', 'x, 2')),
    'runs too few': cvat(RUNS.replace('1, 2', '2')),
    'runs below zero': cvat(RUNS.replace('1, 2', '-1, 4')),
    'no runs': cvat(RUNS.replace('rle="1, 2, 2, 1"', '')),
    'a mask wider than the image': cvat(RUNS.replace('width="3"', 'width="41"')),
    'a mask higher than the image': cvat(RUNS.replace('height="2"', 'height="31"')),
    'a mask of no width': cvat(RUNS.replace('width="3"', 'width="0"')),
    'a mask that begins outside': cvat(RUNS.replace('left="10"', 'left="-1"').replace('top="20"', 'top="29"')),
    'a mask that begins nowhere': cvat(RUNS.replace('left="10"', 'left="-1000001"')),
    'no label': cvat(BOX.replace('"cat"', '""')),
    'unknown class': cvat(BOX.replace('cat', 'cow')),
    'unknown shape': cvat('<blob label="cat"/>'),
    'no size': cvat(BOX, image='name="a.jpg" width="40"'),
    'a subset': cvat(BOX, image='name="a.jpg" width="40" height="30" subset="Validation"', **{'y.xml': cvat(
        POLYGON, image='name="b.jpg" width="40" height="30" subset="train"')['x.xml'], 'b.jpg': None}),
    'a folder of a split': cvat(BOX, image='name="train/a.jpg" width="40" height="30"', **{'train/a.jpg': None}),
    'a file of a split': {'train.xml': cvat(BOX)['x.xml'], 'a.jpg': None},
    'missing': cvat(BOX, image='name="z.jpg" width="40" height="30"'),
    'no name': cvat(BOX, image='width="40" height="30"'),
    'tracks': tracks(at(BOX, 1), at(POLYGON, 2), at(BOX, 2, outside=1)),
    'tracks without a size': tracks(at(BOX, 1), head=HEAD.replace('original_size', 'size')),
    'tracks with a size of text': tracks(at(BOX, 1), head=HEAD.replace('>30<', '>x<')),
    'a frame that is missing': tracks(at(BOX, 7)),
    'a frame of text': tracks(at(BOX, 'x')),
    'frames of two videos': tracks(at(BOX, 1), **{'b_1.png': None}),
    'frames of two folders': tracks(at(BOX, 1), **{'sub/f_1.png': None}),
    'no valid XML': {'a.jpg': None, 'x.xml': '<annotations><image></annotations>'},
}  # fmt: skip


# Datumaro
def ann(kind, label=1, **more):
    return dict(id=0, type=kind, label_id=label, group=0, **more)


D_BOX, D_POLYGON = ann('bbox', bbox=[4, 3, 16, 15]), ann('polygon', 0, points=[0, 0, 20, 0, 0, 15])
WHOLE = np.zeros((HEIGHT, WIDTH), np.uint8, order='F')
WHOLE[20, 11:13] = WHOLE[21, 12] = 1
COUNTS = rle_codec.encode(WHOLE)['counts'].decode()
D_MASK = ann('mask', rle=dict(size=[HEIGHT, WIDTH], counts=COUNTS))
LISTED = ann('mask', rle=dict(size=[HEIGHT, WIDTH], counts=[350, 1, 29, 2, 818]))


def datumaro(*anns, image=None, labels=('dog', 'cat'), **more):
    item = dict(id='a', annotations=list(anns), image=image or dict(path='a.jpg', size=[HEIGHT, WIDTH]))
    content = dict(categories=dict(label=dict(labels=[dict(name=name) for name in labels])), items=[item])
    return {'annotations/train.json': content, 'images/train/a.jpg': None, **more}


def spoilt(key, value):
    made = datumaro(D_BOX)
    made['annotations/train.json'][key] = value
    return made


DATUMARO = {
    'kinds': datumaro(D_BOX, D_POLYGON, D_MASK, LISTED, *[ann(kind) for kind in (
        'label', 'caption', 'points', 'polyline', 'cuboid_3d', 'cuboid_2d', 'ellipse', 'skeleton')]),
    'groups': datumaro(*[one | dict(group=group) for group in (1, 2) for one in (
        D_BOX, D_BOX | dict(label_id=0), D_POLYGON, D_POLYGON)], D_MASK | dict(group=2),
        D_POLYGON | dict(label_id=1, group=2), D_BOX | dict(group=3), D_BOX | dict(group=3)),
    'unknown kind': datumaro(ann('scribble')),
    'no kind': datumaro(dict(label_id=1)),
    **{f'label {label!r}': datumaro(D_BOX | dict(label_id=label)) for label in (2, -1, None, '1')},
    'a box of three': datumaro(D_BOX | dict(bbox=[1, 2, 3])),
    'a box of text': datumaro(D_BOX | dict(bbox=[1, 2, 3, 'x'])),
    'a box that is none': datumaro(D_BOX | dict(bbox='x')),
    'a polygon of four': datumaro(D_POLYGON | dict(points=[1, 2, 3, 4])),
    'a polygon of seven': datumaro(D_POLYGON | dict(points=[1, 2, 3, 4, 5, 6, 7])),
    'a polygon of text': datumaro(D_POLYGON | dict(points=[1, 2, 3, 4, 5, 'x'])),
    'run lengths of another size': datumaro(D_MASK | dict(rle=dict(size=[WIDTH, HEIGHT], counts=COUNTS))),
    'run lengths cut off': datumaro(D_MASK | dict(rle=dict(size=[HEIGHT, WIDTH], counts='1'))),
    'run lengths of nothing': datumaro(D_MASK | dict(rle=dict(size=[HEIGHT, WIDTH]))),
    'no run lengths': datumaro(ann('mask')),
    'a mask without a size': datumaro(D_MASK, image=dict(path='a.jpg')),
    'a box without a size': datumaro(D_BOX, image=dict(path='a.jpg')),
    'a size of one': datumaro(D_BOX, image=dict(path='a.jpg', size=[30])),
    'a size of text': datumaro(D_BOX, image=dict(path='a.jpg', size=[30, 'x'])),
    'a size below zero': datumaro(D_BOX, image=dict(path='a.jpg', size=[-30, 40])),
    'named by its id': datumaro(D_BOX, image=dict(size=[HEIGHT, WIDTH])),
    'missing': datumaro(D_BOX, image=dict(path='z.jpg', size=[HEIGHT, WIDTH])),
    'no classes': datumaro(labels=()),
    'a class without a name': datumaro(labels=('dog', '')),
    'no list of classes': spoilt('categories', {}),
    'items that are none': spoilt('items', [7]),
    'subsets': datumaro(D_BOX, **{'annotations/validation.json': datumaro(D_POLYGON, labels=('dog',))[
        'annotations/train.json'], 'images/validation/a.jpg': None}),
}  # fmt: skip


# Supervisely
META = dict(classes=[dict(title='dog', shape='polygon'), dict(title='cat', shape='rectangle'),
                     dict(title='spot', shape='point'), dict(title='all', shape='any')])  # fmt: skip


def sly(label='cat', kind='rectangle', points=CORNERS, holes=(), **more):
    return dict(classTitle=label, geometryType=kind, points=dict(exterior=points, interior=list(holes)), **more)


def project(*objects, size=None, **more):
    content = dict(size=size or dict(height=HEIGHT, width=WIDTH), objects=list(objects))
    return {'meta.json': META, 'd/img/a.jpg': None, 'd/ann/a.jpg.json': content, **more}


def bitmap(data=None, origin=(10, 20)):
    content = text(zlib.compress(packed())) if data is None else data
    return dict(classTitle='cat', geometryType='bitmap', bitmap=dict(origin=list(origin), data=content))


HOLE = [[5, 5], [10, 5], [10, 10], [5, 10]]
SUPERVISELY = {
    'kinds': project(sly(), sly('dog', 'polygon', TRIANGLE), bitmap(), bitmap(text(zlib.compress(packed(mode='RGBA')))),
                     *[sly(kind=kind) for kind in ('point', 'line', 'graph', 'cuboid', 'any')]),
    'holes': project(sly('dog', 'polygon', [[0, 0], [20, 0], [20, 20], [0, 20]], [HOLE])),
    'a hole of a rectangle': project(sly(holes=[HOLE])),
    'no class': project(sly(label='')),
    'unknown class': project(sly('cow')),
    'a class that is a point': project(sly('spot')),
    'a class of any shape': project(sly('all')),
    'one point': project(sly(points=[[1, 2]])),
    'two points of a polygon': project(sly(kind='polygon')),
    'two points of a hole': project(sly(kind='polygon', points=TRIANGLE, holes=[CORNERS])),
    'points of three': project(sly(points=[[1, 2, 3], [1, 2, 3]])),
    'points of text': project(sly(points=[[1, 'x'], [3, 4]])),
    'points that are none': project(sly() | dict(points=7)),
    'unknown kind': project(sly(kind='splat')),
    'a bitmap that is none': project(bitmap('x')),
    'a bitmap that is missing': project(bitmap('')),
    'a bitmap that is no picture': project(bitmap(text(zlib.compress(b'x')))),
    'a bitmap from one number': project(bitmap(origin=[1])),
    'a bitmap from text': project(bitmap(origin=['x', 1])),
    'a bitmap from outside': project(bitmap(origin=[-1, 29])),
    'no width': project(sly(), size=dict(height=30)),
    'a size of text': project(sly(), size=dict(height='x', width=40)),
    'an object that is none': project(7),
    'other files': project(sly(), **{'d/ann/x.json': dict(a=1)}),
    'an older project': {'meta.json': META, 'd/img/a.jpg': None, 'd/ann/a.json': project(sly())['d/ann/a.jpg.json']},
    'missing': {'meta.json': META, 'd/img/b.jpg': None, 'd/ann/a.jpg.json': project(sly())['d/ann/a.jpg.json']},
    'splits': project(sly(), **{f'{split}/{name}': content for split in ('train', 'val') for name, content in {
        'img/b.jpg': None, 'ann/b.jpg.json': project(sly())['d/ann/a.jpg.json']}.items()}),
}  # fmt: skip


# Pascal VOC
def thing(name='cat', box=(4, 3, 20, 18), more=''):
    sides = ''.join(f'<{side}>{value}</{side}>' for side, value in zip(('xmin', 'ymin', 'xmax', 'ymax'), box))
    return f'<object><name>{name}</name><bndbox>{sides}</bndbox>{more}</object>'


def voc(*objects, size=(WIDTH, HEIGHT), source='', name='a.jpg', **more):
    sides = f'<size><width>{size[0]}</width><height>{size[1]}</height></size>'
    tree = f'<annotation><filename>{name}</filename>{source}{sides}{"".join(objects)}</annotation>'
    return {'Annotations/a.xml': tree, 'JPEGImages/a.jpg': None, **more}


def outline(*corners):
    inner = ''.join(f'<x{i}>{x}</x{i}><y{i}>{y}</y{i}>' for i, (x, y) in enumerate(corners, 1))
    return f'<object><name>dog</name><polygon>{inner}</polygon></object>'


VOC = {
    'boxes': voc(thing(), thing('dog', (20.5, 3, 20.5, 3.25))),
    'of the challenge': voc(thing(), source='<source><database>The VOC2007 Database</database></source>'),
    'of another source': voc(thing(), source='<source><database>Unknown</database></source>'),
    'difficult': voc(thing(more='<difficult>1</difficult>'), thing(more='<difficult>0</difficult>'),
                     thing(more='<difficult>1</difficult>')),
    'outlines': voc(outline((0, 0), (20, 0), (0, 15)), thing(more='<polygon></polygon>')),
    'an outline of two corners': voc(outline((0, 0), (20, 0))),
    'an outline with a gap': voc(outline((0, 0), (20, 0), (0, 15)).replace('x3>', 'x4>')),
    'an outline of text': voc(outline((0, 0), ('x', 0), (0, 15))),
    'no box': voc('<object><name>cat</name></object>', thing()),
    'no name': voc(thing(name=' ')),
    'a side of text': voc(thing(box=(4, 'x', 20, 18))),
    'a side that is missing': voc(thing(box=(4, 3, 20))),
    'x exchanged': voc(thing(box=(20, 3, 4, 18))),
    'y exchanged': voc(thing(box=(4, 18, 20, 3))),
    'a size of zero': voc(thing(), size=(0, 0)),
    'a height of zero': voc(thing(), size=(40, 0)),
    'a size of text': voc(thing(), size=(40, 'x')),
    'named otherwise': voc(thing(), name='b.png'),
    'no name of the image': voc(thing(), name=''),
    'missing': {'Annotations/a.xml': voc(thing())['Annotations/a.xml'], 'JPEGImages/b.jpg': None},
    'other files': voc(thing(), **{'Annotations/b.xml': '<other/>', 'JPEGImages/b.jpg': None}),
    'lists': voc(thing(), **{f'{kind}/{name}.{end}': content for name in 'bcd' for kind, end, content in (
        ('Annotations', 'xml', voc(thing(), name=f'{name}.jpg')['Annotations/a.xml']), ('JPEGImages', 'jpg', None))},
        **{'ImageSets/Main/train.txt': 'a\n\nb 1\n', 'ImageSets/Main/val.txt': 'c', 'ImageSets/Main/cat_train.txt': 'd',
           'ImageSets/Segmentation/train.txt': 'd', 'other/train.txt': 'd'}),
    'folders': {f'{split}/{name}': content for split in ('train', 'valid') for name, content in (
        ('a.jpg', None), ('a.xml', voc(thing(split))['Annotations/a.xml']))},
}  # fmt: skip


# Label Studio
def result(kind='rectangle', id=1, size=(WIDTH, HEIGHT), label='cat', **value):
    shares = value or dict(x=10, y=10, width=40, height=50)
    return dict(id=id, type=f'{kind}labels', original_width=size[0], original_height=size[1],
                value=shares | ({f'{kind}labels': [label]} if label else {}))  # fmt: skip


def task(*results, image='/data/upload/1/12345678-a.jpg', **more):
    return dict(data=dict(text='7', image=image), annotations=[dict(result=list(results))]) | more


def studio(*tasks, **more):
    return {'x.json': list(tasks), 'a.jpg': None, 'b.jpg': None, **more}


LABEL_STUDIO = {
    'kinds': studio(task(result(), result('polygon', 2, label='dog', points=[[0, 0], [50, 0], [0, 50]]),
                         result('ellipse', 3, x=50, y=50, radiusX=25, radiusY=10, rotation=30),
                         result('rectangle', 4, x=10, y=10, width=40, height=50, rotation=90))),
    'no shapes': studio(task(dict(id=9, type='choices', value=dict(choices=['x'])), result())),
    'no label': studio(task(result(label=''), result(id=2))),
    'two labels': studio(task(result() | dict(value=dict(x=1, y=1, width=2, height=2, rectanglelabels=['a', 'b'])))),
    'a label of its own': studio(task(result(label='') | dict(type='rectangle'),
                                      dict(id=1, type='labels', value=dict(labels=['dog'])))),
    'a brush': studio(task(result('brush', rle=[1, 2]))),
    'no size': studio(task({key: value for key, value in result().items() if 'original' not in key})),
    'two sizes': studio(task(result(), result(id=2, size=(41, 30)))),
    'a size of text': studio(task(result(size=('x', 30)))),
    'two points': studio(task(result('polygon', points=[[0, 0], [50, 0]]))),
    'points of one': studio(task(result('polygon', points=[[0], [50], [1]]))),
    'points of text': studio(task(result('polygon', points=[[0, 'x'], [50, 1], [1, 1]]))),
    'a side of text': studio(task(result(x=10, y='x', width=40, height=50))),
    'a side that is missing': studio(task(result(x=10, y=10, width=40))),
    'a rotation of text': studio(task(result(x=10, y=10, width=40, height=50, rotation='x'))),
    'cancelled': studio(task(result()) | dict(annotations=[dict(result=[result(label='dog')], was_cancelled=True),
                                                          dict(result=[result()])])),
    'two annotations': studio(task(result()) | dict(annotations=[dict(result=[result()]), dict(result=[]), dict()])),
    'completions': studio(dict(data=dict(image='b.jpg'), completions=[dict(result=[result()])])),
    'no annotation': studio(task(result()), task(image='b.jpg') | dict(annotations=[])),
    'an annotation that is none': studio(task() | dict(annotations=[7])),
    'results that are none': studio(task(7)),
    'a value that is none': studio(task(dict(id=1, type='rectanglelabels', value=7))),
    'no image': studio(task(result(), image='a.txt')),
    'local files': studio(task(result(), image='/data/local-files/?d=sub%2Fa%20b.jpg'), **{'sub/a b.jpg': None}),
    'an address': studio(task(result(), image='https://host/x/b%2Ejpg?token=1')),
    'missing': studio(task(result(), image='z.jpg')),
    'splits': {'train.json': [task(result(), image='a.jpg')], 'val.json': [task(result(), image='b.jpg')],
               'a.jpg': None, 'b.jpg': None},
    'the short form': studio(dict(image='a.jpg', id=1, label=[
        dict(x=10, y=10, width=40, height=50, rectanglelabels=['cat'], original_width=40, original_height=30),
        dict(points=[[0, 0], [50, 0], [0, 50]], polygonlabels=['dog'], original_width=40, original_height=30),
        dict(x=50, y=50, radiusX=25, radiusY=10, ellipselabels=['dog'], original_width=40, original_height=30)])),
    'a task that is none': studio(task(result()), 7),
}  # fmt: skip


# YOLO
NAMES = 'names: [cat, dog]\n'


def yolo(lines='0 0.3 0.35 0.4 0.5\n', yaml='path: .\ntrain: images/train\nval: images/val\n' + NAMES, **more):
    return {'data.yaml': yaml, 'images/train/a.jpg': None, 'images/train/b.jpg': None, 'images/val/c.jpg': None,
            'labels/train/a.txt': lines, 'labels/val/c.txt': '1 0.5 0.5 1 1\n', **more}  # fmt: skip


def lines(*values):
    return yolo('0 0.3 0.35 0.4 0.5\n' + ' '.join(map(str, values)) + '\n')


YOLO = {
    'boxes and outlines': yolo('0 0.3 0.35 0.4 0.5\n\n1 0 0 0.5 0 0 0.5\n1.0 0.5 0.5 1.01 1.01\n'),
    'an outline over the border': lines(1, -0.01, 0, 1.01, 0, 0.5, 1.01),
    **{f'a value of {value}': lines(0, value, 0.5, 0.2, 0.2) for value in (-0.011, 1.011, -5, 'nan', 'x')},
    **{f'class {index}': lines(index, 0.5, 0.5, 0.1, 0.1) for index in (-1, 2, 0.5)},
    **{f'{number} values': lines(0, *[0.1] * (number - 1)) for number in (4, 6, 7, 8)},
    'a width below zero': lines(0, 0.5, 0.5, -0.005, 0.1),
    'a height below zero': lines(0, 0.5, 0.5, 0.1, -0.005),
    'no width': lines(0, 0.5, 0.5, 0, 0.1),
    'without labels': yolo(**{'images/train/d.jpg': None}),
    'nc differs': yolo(yaml='nc: 3\n' + NAMES),
    'nc': yolo(yaml='nc: 2\n' + NAMES),
    'names by numbers': yolo(yaml='names: {1: dog, 0: cat}\n'),
    'names with a gap': yolo(yaml='names: {0: cat, 2: dog}\n'),
    'names of text': yolo(yaml='names: {cat: 0, dog: 1}\n'),
    'names twice': yolo(yaml='names: [cat, dog, cat, dog, cow]\n'),
    'no names': yolo(yaml='nc: 2\n'),
    'names in two files': yolo(**{'more.yaml': NAMES}),
    'names in lists': yolo(yaml='nc: 2\n', **{'classes.txt': 'cat\n\n dog \n', 'obj.names': 'cat\ndog'}),
    'names in lists that differ': yolo(yaml='nc: 2\n', **{'classes.txt': 'cat\n', 'obj.names': 'dog\n'}),
    'key points': yolo('0 0.3 0.35 0.4 0.5 0.1 0.1 2 0.2 0.2 1\n', yaml='kpt_shape: [2, 3]\n' + NAMES),
    'key points of another number': yolo('0 0.3 0.35 0.4 0.5 0.1 0.1 2\n', yaml='kpt_shape: [2, 3]\n' + NAMES),
    'key points of text': yolo(yaml='kpt_shape: [2, x]\n' + NAMES),
    'key points of three': yolo(yaml='kpt_shape: [2, 3, 4]\n' + NAMES),
    'train is nowhere': yolo(yaml='train: pictures\n' + NAMES),
    'val is nowhere': yolo(yaml='train: images/train\nval: pictures\n' + NAMES),
    'valid': yolo(yaml='train: images/train\nvalid: images/val\n' + NAMES),
    'test': yolo(yaml='train: images/train\ntest: images/val\n' + NAMES),
    'lists of images': yolo(yaml='train: [images/train]\nval: sub/val.txt\n' + NAMES,
                            **{'sub/val.txt': '../images/val/c.jpg\n\n'}),
    'a list of a missing image': yolo(
        yaml='train: train.txt\n' + NAMES, **{'train.txt': 'images/train/a.jpg\nz.jpg\n'}),
    'a path elsewhere': yolo(yaml='path: ../elsewhere\ntrain: ../images/train\nval: \\images\\val\n' + NAMES),
    'no labels at all': yolo(yaml='train: images/val\nval: images/train\n' + NAMES) | {
        'labels/val/c.txt': '', 'images/other/e.jpg': None},
    'no labels of a split': {'data.yaml': 'train: train\nval: val\n' + NAMES, 'train/a.jpg': None, 'val/b.jpg': None,
                             'train/a.txt': '0 0.5 0.5 1 1'},
    'beside the images': {'classes.txt': 'cat', 'a.jpg': None, 'a.txt': '0 0.5 0.5 1 1'},
    'in a folder beside': {'classes.txt': 'cat', 'x/a.jpg': None, 'x/labels/a.txt': '0 0.5 0.5 1 1'},
    'in a folder above': {'classes.txt': 'cat', 'x/y/a.jpg': None, 'x/labels/a.txt': '0 0.5 0.5 1 1'},
    'in a folder of labels': {'classes.txt': 'cat', 'x/a.jpg': None, 'labels/x/a.txt': '0 0.5 0.5 1 1'},
    'no text': yolo(b'0 0.3 0.35 0.4 0.5\n\xe4'),
    'no picture': yolo(**{'images/train/b.jpg': b'no picture'}),
}  # fmt: skip


# COCO
def coco(*names, categories=('cat', 'dog'), **image):
    return dict(
        images=[dict(id=id, file_name=name, width=WIDTH, height=HEIGHT) | image for id, name in enumerate(names, 1)],
        categories=[dict(id=id, name=name) for id, name in enumerate(categories, 1)],
        annotations=[dict(id=id, image_id=id, category_id=1, bbox=[4, 3, 16, 15], area=240, iscrowd=0)
                     for id in range(1, len(names) + 1)],
    )  # fmt: skip


COCO = {
    'one file': {'x.json': coco('a.jpg'), 'a.jpg': None},
    'splits': {'annotations/my_train.json': coco('a.jpg'), 'annotations/my_val.json': coco('b.jpg'),
               'images/a.jpg': None, 'images/b.jpg': None},
    'a folder of a split': {'train/x.json': coco('a.jpg'), 'train/images/a.jpg': None},
    'CVAT': {'annotations/instances_default.json': coco('a.jpg'), 'images/default/a.jpg': None, 'other/a.jpg': None},
    'images beside': {'annotations/x.json': coco('a.jpg'), 'a.jpg': None, 'other/a.jpg': None},
    'two files, one of instances': {'instances_train.json': coco('a.jpg'), 'train.json': coco('b.jpg'), 'a.jpg': None},
    'two files': {'train_1.json': coco('a.jpg'), 'train_2.json': coco('a.jpg'), 'a.jpg': None},
    'two files of no split': {'x.json': coco('a.jpg'), 'y.json': coco('a.jpg'), 'a.jpg': None},
    'missing': {'x.json': coco('a.jpg', 'b.jpg', 'c.jpg'), 'a.jpg': None},
    'no images': {'x.json': coco(), 'a.jpg': None},
    'no name': {'x.json': coco('a.jpg', file_name=' '), 'a.jpg': None},
    'may be two': {'x.json': coco('z/a.jpg'), 'b/a.jpg': None, 'c/a.jpg': None},
    'none for training': {'val.json': coco('a.jpg'), 'a.jpg': None},
    'of no split beside train': {'train.json': coco('a.jpg'), 'x.json': coco('b.jpg'), 'a.jpg': None, 'b.jpg': None},
}  # fmt: skip


# folders of none, or of several
FOLDERS = {
    'empty': {},
    'images alone': files('a.jpg', 'b.png'),
    'other JSON': {'a.json': {}, 'b.json': [], 'c.json': [1], 'd.json': 7, 'e.json': dict(x=1, y=2), 'f.json': '{',
                   'a.jpg': None},
    'captions': {'a.json': dict(images=[], annotations=[dict(caption='x')], categories=[]), 'a.jpg': None},
    'panoptic': {'a.json': dict(images=[], annotations=[dict(segments_info=[])], categories=[]), 'a.jpg': None},
    'other XML': {'a.xml': '<other/>', 'b.xml': '<', 'a.jpg': None},
    'two layouts': yolo() | cvat(BOX),
    'not the wanted one': yolo(),
    'the wanted one': yolo() | cvat(BOX),
    'split': {'x.json': coco(*'abcdefgh', categories=('cat',)), **files(*'abcdefgh')},
}  # fmt: skip
OPTIONS = {
    'not the wanted one': dict(layout='cvat-xml'),
    'the wanted one': dict(layout='cvat-xml'), 'split': dict(split=Split(0.75, 3)),
}  # fmt: skip
ALL = dict(labelme=LABELME, cvat=CVAT, datumaro=DATUMARO, supervisely=SUPERVISELY, pascal_voc=VOC,
           label_studio=LABEL_STUDIO, yolo=YOLO, coco=COCO, folders=FOLDERS)  # fmt: skip
CASES = {f'{layout}: {case}': content for layout, cases in ALL.items() for case, content in cases.items()}


def told(content: dict, tmp_path: Path, **options) -> list[str]:
    """Notes, classes, images and objects of each split, or the refusal."""
    root = tmp_path / 'data'
    root.mkdir()
    for number, (name, inner) in enumerate(content.items()):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if inner is None:
            Image.new('RGB', (WIDTH, HEIGHT), (number, 9, 9)).save(path, 'PNG')
        elif isinstance(inner, bytes):
            path.write_bytes(inner)
        else:
            path.write_text(inner if isinstance(inner, str) else json.dumps(inner))
    try:
        found = convert(DataFolder(root), **options)
    except LayoutError as error:
        return [f'refused | {line}'.replace(str(root), 'DATA') for line in str(error).splitlines()]
    made = [f'note | {note}'.replace(str(root), 'DATA') for note in found.notes]
    for split, data in found.contents.items():
        names = {one['id']: one['name'] for one in data['categories']}
        made.append(f'{split} | {", ".join(names.values())}')
        for image in data['images']:
            made.append(f'  {image["file_name"]} {image["width"]}x{image["height"]}')
            made += [f'    {names[one["category_id"]]} {one["bbox"]} area {one["area"]} crowd {one["iscrowd"]} '
                     f'{shown(one.get("segmentation"))}'
                     for one in data['annotations'] if one['image_id'] == image['id']]  # fmt: skip
    return made


def shown(mask: list | dict | None) -> str:
    """Of long polygons the first corners."""
    if isinstance(mask, list):
        return ' '.join(f'{polygon[:8]} of {len(polygon)}' for polygon in mask)
    return 'without a mask' if mask is None else json.dumps(mask)


@pytest.mark.parametrize('case', CASES)
def test_what_is_read_word_for_word(case: str, tmp_path: Path):
    assert told(CASES[case], tmp_path, **OPTIONS.get(case.partition(': ')[2], {})) == words_of('layouts')[case]
