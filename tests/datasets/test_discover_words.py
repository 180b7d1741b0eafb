"""What is said of a folder in which data is not found, whole, and which of several places is taken."""

import json
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmengine.logging import MMLogger

from swin_mmdet.datasets import discover, read_coco
from swin_mmdet.datasets.discover import data_sets_near, images_beside

SOUGHT = """
  annotations/instances_{0}2017.json
  annotations/instances_{0}.json
  annotations/{0}2017.json
  annotations/{0}.json
  {0}/_annotations.coco.json
  {0}/annotations.json
  instances_{0}2017.json
  instances_{0}.json
  {0}.json
"""


def write(folder: Path, ann_file: str, *images: str, names: tuple[str, ...] | None = None) -> Path:
    """An annotation file that lists the last parts of these images, or `names`, and the images."""
    path = folder / ann_file
    path.parent.mkdir(parents=True, exist_ok=True)
    listed = names if names is not None else [name.rpartition('/')[2] for name in images]
    path.write_text(json.dumps(dict(
        images=[dict(id=id, file_name=name, width=1, height=1) for id, name in enumerate(listed)],
        categories=[dict(id=1, name='cat'), dict(id=2, name='cat'), dict(id=3, name='dog')], annotations=[],
    )))  # fmt: skip
    for name in images:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    return path


def refusal(folder: Path, **given) -> str:
    with pytest.raises(FileNotFoundError) as caught:
        discover(folder, **given)
    return str(caught.value)


def test_an_empty_folder(tmp_path: Path):
    sought = SOUGHT.format('train').rstrip()
    assert refusal(tmp_path) == f'no train annotations in {tmp_path}. Looked for:{sought}\nJSON files there: none'


def test_no_annotations_for_validation(tmp_path: Path):
    write(tmp_path, 'train.json', 'train/a.jpg')
    write(tmp_path, 'sub/other.json')
    lines = refusal(tmp_path).splitlines()
    assert lines[:4] == [
        f'no val annotations in {tmp_path}. Looked for:', '  annotations/instances_val2017.json',
        '  annotations/instances_valid2017.json', '  annotations/instances_validation2017.json']  # fmt: skip
    assert lines[-2:] == [
        'JSON files there: sub/other.json, train.json',
        'To measure the AP, some images must be kept from training. Either name their file (val_ann), or move 10 to 20 '
        "% of the entries of the training file's 'images', with their 'annotations' and a copy of all 'categories', "
        'into annotations/instances_val2017.json; the image files may stay where they are',
    ]


def test_named_files_and_folders(tmp_path: Path):
    assert refusal(tmp_path / 'x') == f'no such folder: {tmp_path}/x'
    write(tmp_path, 'train.json', 'train/a.jpg')
    write(tmp_path, 'mine.json', 'pictures/deep/b.jpg')
    assert refusal(tmp_path, train_ann='x.json') == f'train_ann: no such file: {tmp_path}/x.json'
    assert refusal(tmp_path, val_ann='x.json') == f'val_ann: no such file: {tmp_path}/x.json'
    assert refusal(tmp_path, train_images='x') == f'train_images: no such folder: {tmp_path}/x'
    assert refusal(tmp_path, val_ann='mine.json', val_images='x') == f'val_images: no such folder: {tmp_path}/x'
    found = discover(tmp_path, val_ann='mine.json', val_images='pictures/deep')
    assert (found.val_ann, found.val_images) == (tmp_path / 'mine.json', tmp_path / 'pictures/deep')
    assert (found.train_images, found.classes) == (tmp_path / 'train', ('cat', 'dog'))


def test_images_in_none_of_the_places(tmp_path: Path):
    write(tmp_path, 'annotations/train.json', names=('a.jpg', 'b.jpg'))
    said = refusal(tmp_path)
    places = ['annotations', 'train2017', 'train', 'images/train2017', 'images/train', 'train/images', 'images', '']
    assert said.splitlines() == [
        f'the images of {tmp_path}/annotations/train.json (such as a.jpg, b.jpg) are in none of:',
        *[f'  {tmp_path / place}' for place in places],
    ]
    for name in 'ab':
        (tmp_path / 'pictures').mkdir(exist_ok=True)
        (tmp_path / f'pictures/{name}.jpg').touch()
    assert refusal(tmp_path) == (
        f'{said}\nThey are in {tmp_path}/pictures: are these the annotations of another split?'
    )  # fmt: skip
    write(tmp_path, 'annotations/train.json', names=())
    assert refusal(tmp_path) == f'{tmp_path}/annotations/train.json lists no images'


def test_a_split_in_two_leaves_its_images_where_they_were(tmp_path: Path):
    write(tmp_path, 'train.json', 'train2017/a.jpg')
    write(tmp_path, 'val.json', 'train2017/b.jpg')
    found = discover(tmp_path)
    assert (found.train_images, found.val_images) == (tmp_path / 'train2017', tmp_path / 'train2017')


@pytest.mark.parametrize('name', ['C:\\data\\a.jpg', '/home/you/a.jpg', '../a.jpg/'])
def test_names_of_another_computer(tmp_path: Path, name: str):
    write(tmp_path, 'train.json', 'train2017/a.jpg', names=(name,))
    write(tmp_path, 'val.json', 'val2017/b.jpg')
    assert discover(tmp_path).train_images == tmp_path / 'train2017'


def test_of_several_files_the_first_is_taken_and_said(tmp_path: Path, caplog):
    write(tmp_path, 'annotations/train.json', 'a.jpg')
    write(tmp_path, 'annotations/instances_train.json', 'a.jpg')
    write(tmp_path, 'train.json', 'a.jpg')
    write(tmp_path, 'val.json', 'a.jpg')
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        assert discover(tmp_path).train_ann == tmp_path / 'annotations/instances_train.json'
    finally:
        logger.removeHandler(caplog.handler)
    assert [one.getMessage() for one in caplog.records if 'taking' in one.getMessage()] == [
        'train: taking annotations/instances_train.json; there is also annotations/train.json, train.json']  # fmt: skip


def test_a_folder_beside_the_data(tmp_path: Path):
    for name in 'abcd':
        write(tmp_path / name, 'train.json', 'train/a.jpg')
    (tmp_path / 'e').mkdir()
    (tmp_path / 'f/annotations').mkdir(parents=True)
    (tmp_path / 'f/annotations/train.json').write_text('{')
    assert data_sets_near(tmp_path) == [tmp_path / name for name in 'abc']
    assert refusal(tmp_path) == (
        f'no data set in {tmp_path}, but in {tmp_path}/a or {tmp_path}/b or {tmp_path}/c: name that folder'
    )
    assert data_sets_near(tmp_path / 'd/train') == [tmp_path / 'd']
    (tmp_path / 'd/train/deep/er').mkdir(parents=True)
    assert data_sets_near(tmp_path / 'd/train/deep') == [tmp_path / 'd']
    assert data_sets_near(tmp_path / 'd/train/deep/er') == []


@pytest.mark.parametrize(
    ('ann_file', 'images'),
    [
        *(('annotations/instances_val2017.json', 'val2017'), ('annotations/valid.json', 'images/valid')),
        *(('train/_annotations.coco.json', 'train'), ('mine.json', 'test2017'), ('test.json', 'images')),
        *(('my_train_1.json', 'train/images'), ('annotations/mine.json', 'annotations/images')),
    ],
)
def test_images_beside_one_file(tmp_path: Path, ann_file: str, images: str):
    path = write(tmp_path, ann_file, f'{images}/a.jpg')
    assert images_beside(path, read_coco(path)) == tmp_path / images
