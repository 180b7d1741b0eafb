"""convert, find_data and write_folder: splits that are made, what is written where, nothing changed in place."""

import json
import os

import pytest
from pycocotools.coco import COCO

from swin_mmdet.datasets.layouts import DataFolder, LayoutError, Split, convert, find_data, write_folder
from swin_mmdet.datasets.layouts.splits import split_in_two
from tests.datasets.layouts.test_coco import coco
from tests.datasets.layouts.test_yolo import ultralytics


def split_names(lay_out, names, share=0.8, seed=0):
    """The names on both sides, and what was said."""
    folder = DataFolder(lay_out(dict.fromkeys(names)))
    parts, said = split_in_two(folder, coco(*names), share, seed)
    sides = [[image['file_name'] for image in parts[side]['images']] for side in ('train', 'val')]
    assert sorted(sides[0] + sides[1]) == sorted(names)
    for part in parts.values():  # annotations go with their images
        assert {ann['image_id'] for ann in part['annotations']} == {image['id'] for image in part['images']}
        assert part['categories'] == coco()['categories']
    return *sides, said


@pytest.mark.parametrize(
    ('names', 'group'),
    [
        ([f'street{i:02}_frame_{j:04}.jpg' for i in range(10) for j in range(4)], lambda name: name[:8]),
        ([f'{i}/{j}.jpg' for i in range(10) for j in range(4)], lambda name: name),
        ([f'IMG_{i}_jpg.rf.{j}ab{i}c.jpg' for i in range(10) for j in range(3)], lambda name: name.split('_jpg')[0]),
        (
            [f'cat{i}x{suffix}.jpg' for i in range(10) for suffix in ('', ' (1)', '_aug2')],
            lambda name: name.split('x')[0],
        ),
        ([f'video_{i:05}.jpg' for i in range(40)], lambda name: name),
    ],
    ids=['scenes', 'numbers in folders', 'Roboflow', 'copies', 'one video'],
)
def test_images_of_like_names_stay_on_one_side(lay_out, names, group):
    train, val, said = split_names(lay_out, names)
    assert not set(map(group, train)) & set(map(group, val))
    assert len(val) == pytest.approx(len(names) * 0.2, abs=4)
    assert 'split with seed 0' in said


def test_equal_files_stay_on_one_side(lay_out):
    names = [f'{word}.jpg' for word in ('one', 'two', 'six', 'ten', 'a', 'b', 'c', 'three', 'seven', 'eight')]
    lay_out({name: f'content of {len(name)}' for name in names})
    for seed in range(5):
        train, val, _ = split_names(lambda _: lay_out({}), names, 0.5, seed)
        assert not set(map(len, train)) & set(map(len, val))


def test_a_seed_gives_one_split_and_another_seed_another(lay_out):
    names = [f'{chr(97 + i) * (i + 1)}.jpg' for i in range(20)]
    first = split_names(lay_out, names)
    assert split_names(lay_out, names) == first
    assert any(split_names(lay_out, names, seed=seed)[1] != first[1] for seed in (1, 2))


def test_every_class_is_on_both_sides_where_that_is_possible(lay_out):
    names = [f'{chr(97 + i) * (i + 1)}.jpg' for i in range(20)]
    content = coco(*names, categories=[{'id': id, 'name': str(id)} for id in (1, 2)])
    for index, ann in enumerate(content['annotations']):
        ann['category_id'] = 1 if index > 1 else 2
    for seed in range(5):
        parts, _ = split_in_two(DataFolder(lay_out(dict.fromkeys(names))), content, 0.8, seed)
        assert all({ann['category_id'] for ann in part['annotations']} == {1, 2} for part in parts.values())


def test_what_cannot_be_split(refusal):
    files = {'x.json': coco('a.jpg'), 'a.jpg': None}
    assert '1 image cannot be split' in refusal(files, split=Split(0.8))
    files = {'x.json': coco('a.jpg', 'a (1).jpg'), 'a.jpg': None, 'a (1).jpg': None}
    assert 'are copies of one' in refusal(files, split=Split(0.8))
    files = ultralytics() | {'x.json': 'x'}
    assert 'has images for validation already' in refusal(files, split=Split(0.8), layout='yolo')
    for share in (0, 1, -1, 80):
        with pytest.raises(LayoutError, match='lies between 0 and 1'):
            Split(share)


def test_a_folder_that_is_written_is_one_that_pycocotools_and_discover_read(lay_out, tmp_path):
    folder = DataFolder(lay_out(ultralytics()))
    before = snapshot(folder.root)
    files = write_folder(folder, convert(folder).contents, tmp_path / 'out')
    assert [file.relative_to(tmp_path / 'out').as_posix() for file in files] == [
        'annotations/instances_train2017.json', 'annotations/instances_val2017.json']  # fmt: skip
    found = find_data(tmp_path / 'out', tmp_path / 'unused')
    assert (found.train_ann, found.train_images) == (files[0], tmp_path / 'out/train2017')
    assert found.classes == ('cat', 'dog')
    read = COCO(str(found.train_ann))
    (image,) = read.loadImgs(read.getImgIds()[:1])
    assert os.path.samefile(found.train_images / image['file_name'], folder.root / 'images/train/a.jpg')
    # of the triangle, as pycocotools decodes it
    assert read.annToMask(read.anns[2]).sum() == pytest.approx(150, rel=0.1)
    assert snapshot(folder.root) == before
    assert not (tmp_path / 'unused').exists()


def test_copies_and_a_folder_that_is_not_empty(lay_out, tmp_path):
    folder = DataFolder(lay_out(ultralytics()))
    contents = convert(folder).contents
    write_folder(folder, contents, tmp_path / 'out', copy=True)
    assert not (tmp_path / 'out/train2017/images/train/a.jpg').is_symlink()
    with pytest.raises(LayoutError, match='is there already; name a new folder'):
        write_folder(folder, contents, tmp_path / 'out')
    with pytest.raises(LayoutError, match='is there already'):
        write_folder(folder, contents, folder.root / 'data.yaml')


def snapshot(folder):
    return sorted((str(path), path.stat().st_mtime_ns, path.stat().st_size) for path in folder.rglob('*'))


def test_a_conversion_is_found_again_until_a_file_changes(lay_out, tmp_path):
    root = lay_out(ultralytics())
    before = snapshot(root)
    first = find_data(root, tmp_path / 'cache')
    assert (first.train_images, first.val_images) == (root / 'images/train', root / 'images/val')
    assert first.classes == ('cat', 'dog')
    assert [image['file_name'] for image in json.loads(first.train_ann.read_text())['images']] == ['a.jpg', 'b.jpg']
    assert snapshot(root) == before
    written = first.train_ann.stat().st_mtime_ns
    again = find_data(root, tmp_path / 'cache')
    assert (again, again.train_ann.stat().st_mtime_ns) == (first, written)
    (root / 'labels/train/a.txt').write_text('1 0.5 0.5 1 1\n1 0.5 0.5 0.5 0.5\n')
    changed = find_data(root, tmp_path / 'cache')
    assert changed.train_ann != first.train_ann
    assert [ann['category_id'] for ann in json.loads(changed.train_ann.read_text())['annotations']] == [2, 2]


def test_a_conversion_that_was_interrupted_is_made_again(lay_out, tmp_path):
    root = lay_out(ultralytics())
    first = find_data(root, tmp_path / 'cache')
    (first.train_ann.parent.parent / 'about.json').unlink()
    first.train_ann.write_text('{"ima')
    assert len(json.loads(find_data(root, tmp_path / 'cache').train_ann.read_text())['images']) == 2


def test_a_split_is_made_when_asked_for_and_the_same_each_time(lay_out, tmp_path):
    names = [f'{chr(97 + i) * (i + 1)}.jpg' for i in range(10)]
    root = lay_out({'result.json': coco(*names), **dict.fromkeys(names)})
    with pytest.raises(LayoutError, match=r'no images for validation(.|\n)*--split 0.8'):
        find_data(root, tmp_path / 'cache')
    found = find_data(root, tmp_path / 'cache', Split(0.8))
    train, val = (json.loads(file.read_text())['images'] for file in (found.train_ann, found.val_ann))
    assert (len(train), len(val)) == (8, 2)
    assert find_data(root, tmp_path / 'elsewhere', Split(0.8)).val_ann.read_text() == found.val_ann.read_text()


def test_a_folder_beside_the_data_names_the_folder_that_was_meant(lay_out, tmp_path):
    root = lay_out({'annotations/instances_train2017.json': coco('a.jpg'), 'train2017/a.jpg': None,
                    'annotations/instances_val2017.json': coco('b.jpg'), 'val2017/b.jpg': None})  # fmt: skip
    for given in ('annotations', 'train2017'):
        with pytest.raises(LayoutError, match=f'but in {root}: name that folder'):
            find_data(root / given, tmp_path / 'cache')
    assert find_data(tmp_path, tmp_path / 'cache').val_images == root / 'val2017'


def test_one_file_listed_as_two_images_is_written_once(lay_out, tmp_path):
    folder = DataFolder(lay_out({'x.json': coco('a.jpg', 'a.jpg'), 'a.jpg': None}))
    (file,) = write_folder(folder, convert(folder).contents, tmp_path / 'out')
    assert len(json.loads(file.read_text())['images']) == 2
