"""discover: common layouts are found, others are refused with what was looked for."""

import json

import pytest

from swin_mmdet.datasets import discover


@pytest.fixture
def lay_out(tmp_path, coco):
    """lay_out({'annotation file': 'image folder', ...}) writes such a folder."""

    def write(layout, **changes):
        for ann_file, images in layout.items():
            (tmp_path / ann_file).parent.mkdir(parents=True, exist_ok=True)
            (tmp_path / ann_file).write_text(json.dumps({**coco, **changes}))
            (tmp_path / images).mkdir(parents=True, exist_ok=True)
            for image in coco['images']:
                (tmp_path / images / image['file_name']).touch()
        return tmp_path

    return write


@pytest.mark.parametrize('layout', [
    {'annotations/instances_train2017.json': 'train2017', 'annotations/instances_val2017.json': 'val2017'},
    {'annotations/instances_train.json': 'train', 'annotations/instances_val.json': 'val'},
    {'annotations/train.json': 'images', 'annotations/val.json': 'images'},
    {'annotations/train.json': 'images/train', 'annotations/val.json': 'images/val'},
    {'train/_annotations.coco.json': 'train', 'valid/_annotations.coco.json': 'valid'},
    {'train.json': 'train', 'val.json': 'train'},
], ids=lambda layout: next(iter(layout)) + ' ' + next(iter(layout.values())))
def test_common_layouts_are_found(lay_out, layout):
    root = lay_out(layout)
    found = discover(root)
    (train_ann, train_images), (val_ann, val_images) = layout.items()
    assert (found.train_ann, found.train_images) == (root / train_ann, root / train_images)
    assert (found.val_ann, found.val_images) == (root / val_ann, root / val_images)
    assert found.classes == ('cat', 'dog')


def test_the_empty_category_above_all_others_is_no_class(lay_out):
    categories = [{'id': 0, 'name': 'pets', 'supercategory': 'none'},
                  {'id': 4, 'name': 'cat', 'supercategory': 'pets'}, {'id': 9, 'name': 'dog', 'supercategory': 'pets'}]
    root = lay_out({'train/_annotations.coco.json': 'train', 'valid/_annotations.coco.json': 'valid'},
                   categories=categories)
    assert discover(root).classes == ('cat', 'dog')


def test_other_files_are_taken_when_named(shared_data):
    found = discover(shared_data / 'nuclei', train_ann='annotations/instances_train2017_easy.json')
    assert found.train_ann.name == 'instances_train2017_easy.json'
    assert found.train_images.name == 'train2017'


def test_no_annotations(tmp_path):
    with pytest.raises(FileNotFoundError, match=r'no train annotations(.|\n)*annotations/instances_train2017.json'):
        discover(tmp_path)


def test_no_validation_annotations_tells_how_to_make_some(lay_out):
    root = lay_out({'annotations/instances_train2017.json': 'train2017'})
    with pytest.raises(FileNotFoundError, match=r'no val annotations(.|\n)*10 to 20 %'):
        discover(root)


def test_no_images(lay_out):
    root = lay_out({'annotations/train.json': 'elsewhere/pictures', 'annotations/val.json': 'elsewhere/pictures'})
    with pytest.raises(FileNotFoundError, match='such as 1'):
        discover(root)
    assert discover(root, train_images='elsewhere/pictures', val_images='elsewhere/pictures').train_images.is_dir()


@pytest.mark.parametrize('wrong', [{'train_ann': 'a.json'}, {'train_images': 'b'}], ids=str)
def test_a_named_path_that_does_not_exist(lay_out, wrong):
    root = lay_out({'annotations/train.json': 'images', 'annotations/val.json': 'images'})
    with pytest.raises(FileNotFoundError, match=next(iter(wrong))):
        discover(root, **wrong)


def test_no_folder():
    with pytest.raises(FileNotFoundError, match='no such folder'):
        discover('nowhere')


@pytest.mark.parametrize('given', ['..', 'annotations', 'train2017', 'annotations/deeper'])
def test_a_folder_one_level_away_names_the_folder_that_was_meant(lay_out, given, tmp_path):
    layout = {'data/annotations/instances_train2017.json': 'data/train2017',
              'data/annotations/instances_val2017.json': 'data/val2017'}
    meant = lay_out(layout) / 'data'
    (meant / 'annotations/deeper').mkdir()
    folder = tmp_path if given == '..' else meant / given
    with pytest.raises(FileNotFoundError, match=f'no data set in {folder}, but in {meant}: name that folder'):
        discover(folder)
