"""Finding, splitting and writing of data: what is said and written, whole."""

import io
import json
import logging
import os
from pathlib import Path

import pytest
from mmengine.logging import MMLogger

from swin_mmdet.datasets.layouts import DataFolder, LayoutError, Split, find_data, write_folder
from swin_mmdet.datasets.layouts.errors import mapping, number, sequence, whole
from swin_mmdet.datasets.layouts.folder import json_kind, split_of
from swin_mmdet.datasets.layouts.splits import _chosen, _original, _scene, split_in_two
from swin_mmdet.datasets.layouts.write import write_json
from tests.datasets.layouts.test_coco import coco
from tests.datasets.layouts.test_yolo import ultralytics


@pytest.mark.parametrize(
    ('path', 'split'),
    [
        *(('train/a', 'train'), ('Training/a.jpg', 'train'), ('a/val2017/b', 'val'), ('valid', 'val'), ('x.train', '')),
        *(('my-validation set/a', 'val'), ('test_1/a.jpg', 'test'), ('testset', 'test'), ('trainer/a', '')),
        *(('train/val/a', 'val'), ('val_train.json', 'train'), ('', ''), ('a.b.train.json', 'train')),
        ('val2014', 'val'),
    ],
)
def test_words_of_splits(path: str, split: str):
    assert split_of(path) == split


@pytest.mark.parametrize(
    ('data', 'kind'),
    [
        *(([], 'a list'), ([1], 'a list of int'), ([{}], 'a list of dict'), ('x', 'a str'), (None, 'a NoneType')),
        *(({}, 'an empty object'), (dict(a=1, b=2), 'an object with a, b')),
        (dict.fromkeys('abcdef', 1), 'an object with a, b, c, d, ... (6 in all)'),
        *(([dict(data={}, annotations=[])], 'Label Studio'), ([dict(data={}, completions=[])], 'Label Studio')),
        *(([dict(data=1, annotations=[])], 'a list of dict'), ([dict(data={}, annotations={})], 'a list of dict')),
        *(([dict(a=[dict(original_width=1)])], 'Label Studio'), ([dict(a=[1])], 'a list of dict')),
        ([dict(a=[])], 'a list of dict'),
        *((dict(shapes=[], imagePath='a'), 'LabelMe'), (dict(shapes=[], imageHeight=1), 'LabelMe')),
        *((dict(shapes=[]), 'an object with shapes'), (dict(imagePath=1), 'an object with imagePath')),
        (dict(items=[], categories={}), 'Datumaro'),
        (dict(items=[], categories=[]), 'an object with items, categories'),
        (dict(items={}, categories={}), 'an object with items, categories'),
        *((dict(images=[], categories=[]), 'COCO'), (dict(images=[], annotations=[], categories=[]), 'COCO')),
        (dict(images=[], annotations=[]), 'an object with images, annotations'),
        (dict(images=[], annotations={}, categories=[]), 'an object with images, annotations, categories'),
        (dict(images=[], annotations=[dict(caption=1)], categories=[]),
         'an object with images, annotations, categories'),
        (dict(images=[], annotations=[7], categories=[]), 'COCO'),
        *((dict(objects=[], size={}), 'Supervisely'), (dict(objects=[], size=[]), 'an object with objects, size')),
        (dict(classes=[dict(title='a')]), 'Supervisely classes'),
        (dict(classes=[dict(name='a')]), 'an object with classes'),
        *((dict(classes=[]), 'Supervisely classes'), (dict(classes=['a']), 'an object with classes')),
    ],
    ids=str,
)  # fmt: skip
def test_kinds_of_json(data: object, kind: str):
    assert json_kind(data) == kind


@pytest.mark.parametrize(
    ('call', 'words'),
    [
        (lambda: number('x', 'a.json', 'x'), "a.json: x is 'x', no number from -1e+06 to 1e+06; correct it"),
        (lambda: number(True, 'a.json', 'x'), 'a.json: x is True, no number from -1e+06 to 1e+06; correct it'),
        (lambda: number(10**400, 'a', 'x', 5), f'a: x is {10**400}, no number from -5 to 5; correct it'),
        (lambda: number(-5.1, 'a', 'x', 5), 'a: x is -5.1, no number from -5 to 5; correct it'),
        (lambda: whole(0, 'a', 'x'), 'a: x is 0; it is a whole number from 1 to 1000000'),
        (lambda: whole(1.5, 'a', 'x'), 'a: x is 1.5; it is a whole number from 1 to 1000000'),
        (lambda: whole(8, 'a', 'x', -3, 7), 'a: x is 8; it is a whole number from -3 to 7'),
        (lambda: whole(-4, 'a', 'x', -3, 7), 'a: x is -4; it is a whole number from -3 to 7'),
        (lambda: mapping([], 'a'), 'a: there is a list in the place of an object; correct it'),
        (lambda: sequence({}, 'a'), 'a: there is a dict in the place of a list; correct it'),
        (lambda: sequence('', 'a'), 'a: there is a str in the place of a list; correct it'),
        (lambda: Split(0), '--split 0: the share of the images for training lies between 0 and 1'),
        (lambda: Split(1.5), '--split 1.5: the share of the images for training lies between 0 and 1'),
        (lambda: Split.read('x'), "--split: the share of the images for training is 'x', no number from -1e+06 to "
                                  '1e+06; correct it'),
    ],
)  # fmt: skip
def test_values_that_are_refused(call, words: str):
    with pytest.raises(LayoutError) as caught:
        call()
    assert str(caught.value) == words


def test_values_that_are_taken():
    assert (number('5', '', '', 5), number(-5, '', '', 5), whole(1, '', ''), whole('7', '', '', -3, 7)) == (5, -5, 1, 7)
    assert (whole(-3, '', '', -3, 7), whole(10**6, '', ''), number(1e6, '', '')) == (-3, 10**6, 1e6)
    assert (sequence(None, ''), sequence([1], ''), mapping({1: 2}, '')) == ([], [1], {1: 2})
    assert Split.read('0.8', 3) == Split(0.8, 3)


@pytest.mark.parametrize(
    ('name', 'original', 'scene'),
    [
        *(('a/b_12.jpg', 'a/b_12', 'a/b'), ('a/12.jpg', 'a/12', 'a/12'), ('x 7.png', 'x 7', 'x')),
        *(('b_jpg.rf.0Ab9.jpg', 'b', 'b'), ('b_PNG.rf.1.jpg', 'b', 'b'), ('b (2).jpg', 'b', 'b')),
        ('b_aug3.jpg', 'b', 'b'),
        *(('b_flip_lr.jpg', 'b', 'b'), ('b-copy2.jpg', 'b', 'b'), ('b_rot90 (1).jpg', 'b', 'b')),
        ('copy.jpg', 'copy', 'copy'),
    ],
)
def test_names_of_copies_and_scenes(name: str, original: str, scene: str):
    assert (_original(name), _scene(name)) == (original, scene)


def test_the_groups_that_come_nearest_to_the_wanted_number():
    class First:
        """A chance that takes what comes first."""

        @staticmethod
        def sample(groups: list, number: int) -> list:
            assert number == len(groups)
            return groups

    groups = [['a', 'b', 'c'], ['d'], ['e', 'f'], ['g']]
    assert _chosen(groups, 2, First) == {'a', 'b', 'c'}
    assert _chosen(groups, 1.5, First) == {'d'}
    assert _chosen(groups, 4, First) == {'a', 'b', 'c', 'd'}
    # never all, at least one
    assert _chosen(groups, 7, First) == set('abcdef')
    assert _chosen(groups, 0, First) == {'d'}
    assert _chosen([['a', 'b'], ['c', 'd']], 0, First) == {'a', 'b'}


def split(folder: DataFolder, content: dict) -> tuple[dict[str, dict], str]:
    return split_in_two(folder, content, 0.75, 0)


def test_what_is_said_of_a_split(lay_out):
    names = [f'{"abcdefgh"[i]}.jpg' for i in range(8)]
    folder, content = DataFolder(lay_out(dict.fromkeys(names))), coco(*names)
    content['categories'] = [dict(id=1, name='a'), dict(id=2, name='b')]
    for index, ann in enumerate(content['annotations']):
        ann['category_id'] = 1 if index else 2
    content['annotations'] += [7, dict(image_id=[9], category_id=1)]
    parts, said = split(folder, content)
    assert said == (
        '6 images for training, 2 for validation, split with seed 0 in 8 groups of like names; 1 of the classes are on '
        'one side only'
    )
    assert [len(part['images']) for part in parts.values()] == [6, 2]
    assert sum(len(part['annotations']) for part in parts.values()) == 8
    assert list(parts) == ['train', 'val']
    assert parts['val']['categories'] == content['categories']
    with pytest.raises(LayoutError) as caught:
        split(folder, coco('a.jpg'))
    assert str(caught.value) == f'{folder.root}: 1 image cannot be split in two'


def test_a_scene_of_most_images_is_taken_apart(lay_out):
    """Fewer than eight scenes, or none small enough, are no choice: then copies alone stay together."""
    names = [f'clip_{i}.jpg' for i in range(12)]
    folder = DataFolder(lay_out({name: bytes([i] * (i + 1)) for i, name in enumerate(names)}))
    assert split(folder, coco(*names))[1].endswith('in 12 groups of copies')
    names = [f'{"abcdefgh"[i % 8]}_{i}.jpg' for i in range(16)]
    folder = DataFolder(lay_out({name: bytes([i] * (i + 20)) for i, name in enumerate(names)}))
    assert split(folder, coco(*names))[1].endswith('in 8 groups of like names')
    names = [f'a ({i}).jpg' for i in range(4)]
    folder = DataFolder(lay_out({name: bytes([i] * (i + 40)) for i, name in enumerate(names)}))
    with pytest.raises(LayoutError) as caught:
        split(folder, coco(*names))
    assert str(caught.value) == (
        f'{folder.root}: all 4 images are copies of one, by names or contents: no split of them can measure anything'
    )


def logged(call) -> list[str]:
    text = io.StringIO()
    handler, logger = logging.StreamHandler(text), MMLogger.get_current_instance()
    handler.setLevel(logging.INFO)
    logger.addHandler(handler)
    try:
        call()
    finally:
        logger.removeHandler(handler)
    return text.getvalue().splitlines()


def test_a_folder_that_is_found_says_how_it_was_read(lay_out, tmp_path: Path):
    root = lay_out(ultralytics())
    expected = [
        f'data: {root} is read as YOLO', 'data: 1 of 2 images of train have no file of labels: read as images without '
        'objects', 'data: train: 2 images, 2 objects', 'data: val: 1 image, 1 object']  # fmt: skip
    assert logged(lambda: find_data(root, tmp_path / 'cache')) == expected
    assert logged(lambda: find_data(root, tmp_path / 'cache')) == expected
    (folder,) = (tmp_path / 'cache').iterdir()
    assert folder.name.startswith('data-')
    assert len(folder.name) == len('data-') + 12
    about = json.loads((folder / 'about.json').read_text())
    assert (about['train'], about['val']) == ('images/train', 'images/val')


def test_each_setting_is_a_conversion_of_its_own(lay_out, tmp_path: Path):
    names = [f'{letter}.jpg' for letter in 'abcdefghij']
    root = lay_out({'x.json': coco(*names), **dict.fromkeys(names)})
    for made in (Split(0.8), Split(0.8, 1), Split(0.7)):
        find_data(root, tmp_path / 'cache', made)
    find_data(root, tmp_path / 'cache', Split(0.8), 'coco')
    assert len(list((tmp_path / 'cache').iterdir())) == 4
    with pytest.raises(LayoutError) as caught:
        find_data(root, tmp_path / 'cache')
    assert str(caught.value) == (
        f'{root} (COCO) has no images for validation. To measure the AP, some must be kept from training: add --split '
        '0.8 to keep a fifth, or put them into a folder or file named val'
    )


def test_links_that_cannot_be_made(lay_out, tmp_path: Path, monkeypatch):
    folder = DataFolder(lay_out({'a.jpg': None}))

    def refuse(*_, **__):
        raise OSError(1, 'not here')

    monkeypatch.setattr(Path, 'symlink_to', refuse)
    with pytest.raises(LayoutError) as caught:
        write_folder(folder, dict(train=coco('a.jpg')), tmp_path / 'out')
    assert str(caught.value) == f'{tmp_path}/out/train2017/a.jpg: no link can be made (not here); use --copy'


def test_json_is_written_whole_or_not_at_all(tmp_path: Path):
    write_json(tmp_path / 'sub/a.json', dict(name='\ud800 caf\u00e9'))
    assert json.loads((tmp_path / 'sub/a.json').read_text()) == dict(name='\ud800 caf\u00e9')
    with pytest.raises(TypeError):
        write_json(tmp_path / 'sub/a.json', {1: {2}})
    assert os.listdir(tmp_path / 'sub') == ['a.json']
    assert (tmp_path / 'sub/a.json').read_text().startswith('{"name"')


def test_hidden_files_and_those_of_archives_are_left_out(lay_out):
    root = lay_out({'a.jpg': None, '.hidden/b.jpg': None, '__MACOSX/c.jpg': None, '.d.jpg': None, 'e/f.PNG': None,
                    'e/g.txt': 'x'})  # fmt: skip
    (root / 'e/loop').symlink_to(root)
    folder = DataFolder(root)
    assert folder.files == ['a.jpg', 'e/f.PNG', 'e/g.txt']
    assert folder.images == ['a.jpg', 'e/f.PNG']
    assert folder.folders == {'.', 'e'}
    assert (folder.images_under('e'), folder.images_under('.'), folder.images_under('e/')) == (
        ['e/f.PNG'], folder.images, ['e/f.PNG'])  # fmt: skip
    with pytest.raises(LayoutError, match=r'^no such folder: nowhere$'):
        DataFolder('nowhere')


@pytest.mark.parametrize(
    ('name', 'near', 'found'),
    [
        *(('a.jpg', ['x'], 'x/a.jpg'), ('a.jpg', ['y'], 'y/a.jpg'), ('z/x/a.jpg', [], 'x/a.jpg')),
        *(('C:\\z\\y\\a.jpg', [], 'y/a.jpg'), ('b.jpg', [], 'y/deep/b.jpg'), ('../b.jpg', [], 'y/deep/b.jpg')),
        *(('c.jpg', [], None), ('', [], None), ('..', [], None), (' b.jpg ', [], 'y/deep/b.jpg')),
        *(('q/a.jpg', ['y/other'], 'y/a.jpg'), ('a.jpg', ['nowhere', 'x'], 'x/a.jpg')),
    ],
)
def test_where_a_named_image_is(lay_out, name: str, near: list[str], found: str | None):
    folder = DataFolder(lay_out({'x/a.jpg': None, 'y/a.jpg': None, 'y/deep/b.jpg': None}))
    assert folder.find_image(name, near) == found


def test_of_equal_names_no_one_is_guessed(lay_out):
    folder = DataFolder(lay_out({'x/a.jpg': None, 'y/a.jpg': None, 'x/a.png': None}))
    with pytest.raises(LayoutError) as caught:
        folder.find_image('a.jpg')
    assert str(caught.value) == (
        'a.jpg may be x/a.jpg, y/a.jpg: give files of one name the folders that tell them apart'
    )  # fmt: skip
    assert folder.find_stem('y/a') == 'y/a.jpg'
    with pytest.raises(LayoutError, match=r'^x/a may be x/a\.jpg, x/a\.png: '):
        folder.find_stem('x/a')
    assert folder.find_stem('b') is None
