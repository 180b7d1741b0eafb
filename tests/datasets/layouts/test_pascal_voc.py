"""Pascal VOC folders: of the challenge, LabelImg, Roboflow, against boxes worked out by hand."""

import pytest

XML = """<annotation><folder>x</folder><filename>{name}</filename><path>/home/somebody/{name}</path>
<source><database>{database}</database></source>
<size><width>{width}</width><height>30</height><depth>3</depth></size><segmented>0</segmented>{objects}</annotation>"""
OBJECT = """<object><name>{name}</name><difficult>{difficult}</difficult><bndbox>
<xmin>{box[0]}</xmin><ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>{more}</object>"""


def thing(name='cat', box=(4, 3, 20, 18), difficult=0, more=''):
    return OBJECT.format(name=name, box=box, difficult=difficult, more=more)


def xml(name, *objects, database='Unknown', width=40):
    return XML.format(name=name, database=database, width=width, objects=''.join(objects))


CAT, DOG = ('cat', [4.0, 3.0, 16.0, 15.0], None), ('dog', [0.0, 0.0, 40.0, 30.0], None)


def challenge(**changes):
    """Pixels from 1 on, the last ones included: what covers 4 <= x < 20 and 3 <= y < 18 is 5, 4, 20, 18."""
    return {
        'VOC/JPEGImages/2007_1.jpg': None, 'VOC/JPEGImages/2007_2.jpg': None, 'VOC/JPEGImages/2007_3.jpg': None,
        'VOC/Annotations/2007_1.xml': xml('2007_1.jpg', thing(box=(5, 4, 20, 18)), database='The VOC2007 Database'),
        'VOC/Annotations/2007_2.xml': xml('2007_2.jpg', thing('dog', (1, 1, 40, 30), 1), database='VOC'),
        'VOC/Annotations/2007_3.xml': xml('2007_3.jpg', database='The VOC2007 Database'),
        'VOC/ImageSets/Main/train.txt': '2007_1\n', 'VOC/ImageSets/Main/val.txt': '2007_2\n',
        'VOC/ImageSets/Main/trainval.txt': '2007_1\n2007_2\n', 'VOC/ImageSets/Main/cat_train.txt': '2007_1  1\n',
        **changes,
    }  # fmt: skip


def test_the_challenge_counts_pixels_from_one_and_difficult_objects_are_crowds(objects):
    assert objects(challenge()) == {
        'train': {'VOC/JPEGImages/2007_1.jpg': [CAT]},
        'val': {'VOC/JPEGImages/2007_2.jpg': [('dog', DOG[1], 'crowd')]},
    }


def test_labelimg_beside_the_images(objects):
    files = {'a.jpg': None, 'a.xml': xml('a.jpg', thing(), thing('dog', (0, 0, 40, 30))), 'b.jpg': None,
             'b.xml': xml('b.jpg')}  # fmt: skip
    assert objects(files) == {'train': {'a.jpg': [CAT, DOG], 'b.jpg': []}}


def test_a_folder_a_split_and_polygons_as_roboflow_writes_them(objects):
    corners = '<polygon><x1>0</x1><y1>0</y1><x2>20</x2><y2>0</y2><x3>0</x3><y3>15</y3></polygon>'
    files = {'train/a.jpg': None, 'train/a.xml': xml('a.jpg', thing()),
             'valid/a.jpg': None, 'valid/a.xml': xml('a.jpg', thing('dog', more=corners))}  # fmt: skip
    triangle = ('dog', [0.0, 0.0, 20.0, 15.0], [[0.0, 0.0, 20.0, 0.0, 0.0, 15.0]])
    assert objects(files) == {'train': {'train/a.jpg': [CAT]}, 'val': {'valid/a.jpg': [triangle]}}


@pytest.mark.parametrize('content', [xml('old_name.png', thing()), xml('a.jpg', thing(), width=0)],
                         ids=['another name inside', 'no size'])  # fmt: skip
def test_what_programs_leave_wrong_is_read_by_the_file_itself(objects, content):
    assert objects({'images/a.jpg': None, 'annotations/a.xml': content}) == {'train': {'images/a.jpg': [CAT]}}


@pytest.mark.parametrize(('changes', 'said'), [
    ({'a.xml': xml('a.jpg', thing(), thing(box=(4, 3, 2, 18)))}, 'a.xml, object 2: xmax or ymax lies before'),
    ({'a.xml': xml('a.jpg', thing(box=(4, 'x', 2, 18)))}, "object 1: ymin is 'x'"),
    ({'a.xml': xml('a.jpg', thing(box=(4, 3, 'inf', 18)))}, "object 1: xmax is 'inf'"),
    ({'a.xml': xml('a.jpg', thing(name=''))}, 'object 1: it has no name of a class'),
    ({'a.xml': xml('a.jpg', thing(), width=-4)}, "width is '-4'"),
    ({'b.xml': xml('b.jpg', thing())}, '1 image with annotations not in'),
    ({'b.xml': xml('../../b.jpg', thing())}, '../../b.jpg; put them there'),
    ({'b.xml': xml('a.jpg', thing(), width=80)}, 'annotated twice, as 40x30 and as 80x30'),
    ({'a.xml': xml('a.jpg', thing())[:-30], 'c.xml': xml('a.jpg', thing())}, 'a.xml is not valid XML'),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_faults_are_named(refusal, changes, said):
    files = {'a.jpg': None, 'a.xml': xml('a.jpg', thing()), **changes}
    assert said in refusal(files)


def test_entities_that_grow_without_end_are_refused(refusal):
    entities = '<!ENTITY a0 "xxxxxxxxxx">' + ''.join(f'<!ENTITY a{i} "{f"&a{i - 1};" * 10}">' for i in range(1, 10))
    bomb = f'<!DOCTYPE annotation [{entities}]><annotation><filename>&a9;</filename></annotation>'
    assert 'not valid XML' in refusal({'a.jpg': None, 'a.xml': bomb})
