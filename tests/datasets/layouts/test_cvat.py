"""CVAT's XML for images and for videos, against outlines worked out by hand."""

import numpy as np
import pycocotools.mask as rle_codec
import pytest

HEAD = """<annotations><version>1.1</version><meta>{task}<labels><label><name>dog</name><type>any</type></label>
<label><name>cat</name></label><label><name>bones</name><type>skeleton</type></label></labels>
<original_size><width>40</width><height>30</height></original_size>{end}</meta>"""
BOX = '<box label="cat" xtl="4.00" ytl="3.00" xbr="20.00" ybr="18.00" z_order="0" {more}/>'
POLYGON = '<polygon label="dog" points="0.00,0.00;20.00,0.00;0.00,15.00" {more}></polygon>'
CAT, DOG = ('cat', [4.0, 3.0, 16.0, 15.0], None), ('dog', [0.0, 0.0, 20.0, 15.0], [[0.0, 0.0, 20.0, 0.0, 0.0, 15.0]])


def image(name, *shapes, subset=''):
    shapes = ''.join(shape.replace('{more}', '') for shape in shapes)
    return f'<image id="0" name="{name}" subset="{subset}" width="40" height="30">{shapes}</image>'


def xml(*nodes, task='task'):
    return HEAD.format(task=f'<{task}>', end=f'</{task}>') + ''.join(nodes) + '</annotations>'


@pytest.mark.parametrize('task', ['task', 'job', 'project'])
def test_images_of_a_task(objects, task):
    files = {'annotations.xml': xml(image('a.jpg', BOX, POLYGON), image('sub/b.jpg'), task=task), 'images/a.jpg': None,
             'images/sub/b.jpg': None}  # fmt: skip
    assert objects(files) == {'train': {'images/a.jpg': [CAT, DOG], 'images/sub/b.jpg': []}}


def test_subsets_are_splits_and_classes_have_the_order_of_the_task(lay_out):
    from swin_mmdet.datasets.layouts import DataFolder, convert

    nodes = image('a.jpg', BOX, subset='Train'), image('b.jpg', POLYGON, subset='Validation')
    read = convert(DataFolder(lay_out({'annotations.xml': xml(*nodes), 'a.jpg': None, 'b.jpg': None})))
    assert [image['file_name'] for image in read.contents['train']['images']] == ['a.jpg']
    assert [image['file_name'] for image in read.contents['val']['images']] == ['b.jpg']
    assert [one['name'] for one in read.contents['val']['categories']] == ['dog', 'cat']


def test_parts_of_skeletons_are_no_classes(lay_out):
    from swin_mmdet.datasets.layouts import DataFolder, convert

    part = '<label><name>knee</name><type>any</type><parent>bones</parent></label></labels>'
    files = {'annotations.xml': xml(image('a.jpg', BOX)).replace('</labels>', part), 'a.jpg': None}
    read = convert(DataFolder(lay_out(files)))
    assert [one['name'] for one in read.contents['train']['categories']] == ['dog', 'cat']


def test_masks_count_in_rows_from_the_corner_of_their_part(objects):
    mask = '<mask label="cat" rle="1, 2, 2, 1" left="10" top="20" width="3" height="2"/>'
    ((_, box, rle),) = objects({'a.xml': xml(image('a.jpg', mask)), 'a.jpg': None})['train']['a.jpg']
    whole = np.zeros((30, 40), bool)
    whole[20, 11:13] = whole[21, 12] = True
    assert box == [11.0, 20.0, 2.0, 2.0]
    assert (rle_codec.decode(rle) == whole).all()


def test_a_group_of_outlines_is_one_object_and_one_of_boxes_is_not(objects):
    grouped = [shape.replace('{more}', 'group_id="4"') for shape in (POLYGON, POLYGON, BOX, BOX)]
    read = objects({'a.xml': xml(image('a.jpg', *grouped)), 'a.jpg': None})['train']['a.jpg']
    assert read == [('dog', DOG[1], DOG[2] * 2), CAT, CAT]


def test_turned_boxes_and_ellipses(objects):
    turned = BOX.replace('{more}', 'rotation="90"')
    ellipse = '<ellipse label="dog" cx="20" cy="15" rx="10" ry="5" rotation="90"/>'
    box, round_one = objects({'a.xml': xml(image('a.jpg', turned, ellipse)), 'a.jpg': None})['train']['a.jpg']
    # a box of 16 x 15 around (12, 10.5), on its side
    assert box[1] == pytest.approx([4.5, 2.5, 15, 16])
    assert round_one[1] == pytest.approx([15, 5, 10, 20], abs=0.1)


def test_tracks_of_a_video_are_in_each_frame_that_shows_them(objects):
    boxes = ''.join(BOX.replace('{more}', f'frame="{i}" outside="{int(i == 2)}" keyframe="1"') for i in range(3))
    track = f'<track id="0" label="dog">{boxes}</track>'
    files = {'annotations.xml': xml(track), **{f'images/frame_00000{i}.png': None for i in range(3)}}
    dog = ('dog', CAT[1], None)
    assert objects(files) == {'train': {'images/frame_000000.png': [dog], 'images/frame_000001.png': [dog]}}


@pytest.mark.parametrize(('nodes', 'said'), [
    ([image('a.jpg', BOX.replace('"4.00"', '"x"'))], "image a.jpg: xtl of a box is 'x'"),
    ([image('a.jpg', POLYGON.replace(';0.00,15.00', ''))], "a polygon has three points 'x,y;x,y;x,y' or more"),
    ([image('a.jpg', POLYGON.replace('0.00,15.00', '0.00,nan'))], "a coordinate is 'nan'"),
    ([image('a.jpg', BOX.replace('cat', ''))], 'a shape without a label'),
    ([image('a.jpg', BOX.replace('cat', 'cow'))], 'classes that are not listed: cow; there are dog, cat'),
    ([image('a.jpg', '<mask label="cat" rle="1, 2" left="0" top="0" width="3" height="2"/>')], 'have 3 pixels, its'),
    ([image('a.jpg', '<blob label="cat"/>')], 'a shape <blob>, which is not known'),
    ([image('b.jpg', BOX)], '1 image with annotations not in'),
    ([image('../../b.jpg', BOX)], '../../b.jpg; put them there'),
    (['<track label="cat">' + BOX.replace('{more}', 'frame="7" outside="0"') + '</track>'], 'frame_000007; put them'),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_faults_are_named(refusal, nodes, said):
    assert said in refusal({'a.xml': xml(*nodes), 'a.jpg': None})
