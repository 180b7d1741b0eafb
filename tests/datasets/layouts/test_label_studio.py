"""Label Studio's exports, against boxes worked out by hand from percent of 40 x 30 pixels."""

import pytest

SIZE = {'original_width': 40, 'original_height': 30, 'image_rotation': 0}
SQUARE = {'x': 10, 'y': 10, 'width': 40, 'height': 50, 'rotation': 0}
CAT = ('cat', [4.0, 3.0, 16.0, 15.0], None)
DOG = ('dog', [0.0, 0.0, 20.0, 15.0], [[0.0, 0.0, 20.0, 0.0, 0.0, 15.0]])


def result(kind='rectangle', label='cat', id='r', **value):
    value = value or SQUARE
    return SIZE | {'id': id, 'type': f'{kind}labels', 'from_name': 'label', 'to_name': 'image',
                   'value': value | {f'{kind}labels': [label]}}  # fmt: skip


TRIANGLE = result('polygon', 'dog', 'p', points=[[0, 0], [50, 0], [0, 50]], closed=True)


def task(image, *results, **more):
    done = {'id': 1, 'was_cancelled': False, 'result': list(results)}
    return {'id': 1, 'data': {'image': image}, 'annotations': [done], **more}


@pytest.mark.parametrize(
    ('named', 'file'),
    [
        ('/data/upload/3/0a1b2c3d-a.jpg', 'images/0a1b2c3d-a.jpg'),
        ('/data/upload/3/0a1b2c3d-a.jpg', 'images/a.jpg'),
        ('/data/local-files/?d=images/my%20a.jpg', 'images/my a.jpg'),
        ('https://somewhere.org/bucket/a.jpg?token=1', 'a.jpg'),
        ('s3://bucket/deep/a.jpg', 'deep/a.jpg'),
    ],
)
def test_images_are_found_by_what_the_tasks_call_them(objects, named, file):
    assert objects({'export.json': [task(named, result(), TRIANGLE)], file: None}) == {'train': {file: [CAT, DOG]}}


def test_the_short_form(objects):
    boxes = [SIZE | SQUARE | {'rectanglelabels': ['cat']}]
    polygons = [SIZE | {'points': TRIANGLE['value']['points'], 'polygonlabels': ['dog']}]
    short = [{'image': '/data/upload/1/a.jpg', 'id': 1, 'label': boxes, 'outlines': polygons, 'annotator': 1},
             {'image': '/data/upload/1/b.jpg', 'id': 2}]  # fmt: skip
    assert objects({'min.json': short, 'a.jpg': None, 'b.jpg': None}) == {'train': {'a.jpg': [CAT, DOG], 'b.jpg': []}}


def test_a_label_that_was_chosen_in_a_result_of_its_own(objects):
    shape = SIZE | {'id': 'x', 'type': 'rectangle', 'value': SQUARE}
    label = SIZE | {'id': 'x', 'type': 'labels', 'value': SQUARE | {'labels': ['cat']}}
    assert objects({'e.json': [task('a.jpg', shape, label)], 'a.jpg': None}) == {'train': {'a.jpg': [CAT]}}


def test_boxes_turn_around_their_first_corner(objects):
    turned = result(**{**SQUARE, 'x': 50, 'rotation': 90})
    ((_, box, _),) = objects({'e.json': [task('a.jpg', turned)], 'a.jpg': None})['train']['a.jpg']
    # 16 x 15 from (20, 3), turned to lie at its left
    assert box == pytest.approx([5, 3, 15, 16])


def test_ellipses(objects):
    ellipse = result('ellipse', x=50, y=50, radiusX=25, radiusY=10)
    ((_, box, outline),) = objects({'e.json': [task('a.jpg', ellipse)], 'a.jpg': None})['train']['a.jpg']
    assert box == pytest.approx([10, 12, 20, 6])
    assert outline


def test_cancelled_and_later_annotations_do_not_count(objects):
    several = task('a.jpg')
    cancelled = {'was_cancelled': True, 'result': [TRIANGLE]}
    several['annotations'] = [cancelled, {'result': [result()]}, {'result': [TRIANGLE]}]
    skipped = task('b.jpg') | {'annotations': []}
    assert objects({'e.json': [several, skipped], 'a.jpg': None, 'b.jpg': None}) == {'train': {'a.jpg': [CAT]}}


@pytest.mark.parametrize(('tasks', 'said'), [
    ([task('a.jpg', result(**SQUARE | {'x': None}))], 'task 1: x is None'),
    ([task('a.jpg', result()), task('b.jpg', result())], '1 image with annotations not in'),
    ([task('../../b.jpg', result())], 'b.jpg; put them there'),
    ([task('a.jpg', result() | {'original_width': 0}, )], 'without original_width'),
    ([task('a.jpg', result(), TRIANGLE | {'original_width': 41})], 'results for images of several sizes'),
    ([task('a.jpg', result('polygon', points=[[1, 2], [3, 4]]))], 'a polygon has three points'),
    ([task('a.jpg', result('brush', format='rle', rle=[1, 2]))], 'export the project as COCO'),
    ([task('a.jpg', result() | {'value': SQUARE | {'rectanglelabels': ['cat', 'dog']}})], 'a shape with 2 labels'),
    ([task('no image', result())], 'nothing in its data names an image'),
    ([task('a.jpg', 5)], 'there is a int in the place of an object'),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_faults_are_named(refusal, tasks, said):
    assert said in refusal({'e.json': tasks, 'a.jpg': None})
