"""Folders of Pascal VOC, Label Studio, YOLO and COCO, in every way that is read and some that are not."""

WIDTH, HEIGHT = 40, 30


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
