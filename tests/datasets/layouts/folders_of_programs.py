"""Folders as LabelMe, CVAT, Datumaro and Supervisely write them, in every way that is read and some that are not."""

import base64
import io
import zlib

import numpy as np
import pycocotools.mask as rle_codec
from PIL import Image

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
