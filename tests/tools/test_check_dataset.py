"""tools/check_dataset.py on folders, files and configs."""

import json
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from swin_mmdet.commands.check_dataset import main
from swin_mmdet.errors import UserError


@pytest.fixture
def check(capsys):
    """check(arguments ...) runs the program in this process: exit code and what it printed."""
    return lambda *arguments: (main([str(argument) for argument in arguments]), capsys.readouterr().out)


def test_help_names_what_can_be_checked(repository):
    command = [sys.executable, str(repository / 'tools/check_dataset.py'), '--help']
    assert 'CONFIG' in subprocess.run(command, capture_output=True, text=True, check=True).stdout.upper()


def test_a_good_folder_is_described(check, shared_data):
    code, text = check(shared_data / 'nuclei')
    assert code == 0
    assert "metainfo=dict(classes=('nucleus',))" in text
    assert '0 problems' in text


def test_a_folder_without_data(check, tmp_path):
    code, text = check(tmp_path)
    assert code == 1
    assert 'Looked for' in text


def test_a_config_that_does_not_fit_its_data(check, shared_data, tmp_path):
    (tmp_path / 'config.py').write_text(f"""
model = dict(type='RetinaNet', bbox_head=dict(type='RetinaHead', num_classes=80))
train_dataloader = dict(dataset=dict(
    type='CocoDataset', data_root={str(shared_data / 'nuclei')!r}, ann_file='annotations/instances_val2017.json',
    data_prefix=dict(img='val2017/'), metainfo=dict(classes=('nucleus',)), pipeline=[]))
""")
    code, text = check(tmp_path / 'config.py')
    assert code == 1
    assert 'model.bbox_head.num_classes=1' in text
    assert check(tmp_path / 'config.py', '--cfg-options', 'model.bbox_head.num_classes=1')[0] == 0


def test_one_annotation_file(check, tmp_path):
    path = tmp_path / 'a.json'
    path.write_text(json.dumps({'images': [], 'categories': [], 'annotations': []}))
    code, text = check(path)
    assert code == 1
    assert 'lists no images' in text


@pytest.fixture
def alone(shared_data, tmp_path):
    """An annotation file without its images, and where these are."""
    source = shared_data / 'nuclei'
    path = tmp_path / 'my.json'
    path.write_bytes((source / 'annotations/instances_val2017.json').read_bytes())
    return path, source / 'val2017'


def test_an_annotation_file_whose_images_are_missing_does_not_pass(check, alone):
    path, images = alone
    code, text = check(path)
    assert code == 1
    assert 'are in none of' in text
    assert '--images FOLDER' in text
    code, text = check(path, '--images', images)
    assert (code, '0 problems' in text) == (0, True)
    code, text = check(path, '--images', images.parent)
    assert code == 1
    assert f'images are not in {images.parent}' in text


def test_images_beside_an_annotation_file_are_found(check, shared_data):
    code, text = check(shared_data / 'nuclei/annotations/instances_val2017.json')
    assert (code, '0 problems' in text) == (0, True)


def test_the_category_above_all_others_is_no_finding(check, tmp_path):
    """As Roboflow writes it, in the files of both splits."""
    for split in ('train', 'valid'):
        folder = tmp_path / split
        folder.mkdir()
        noise = np.random.default_rng(ord(split[0])).integers(0, 256, (40, 50, 3), np.uint8)
        Image.fromarray(noise).save(folder / '1.jpg')
        ann = {'id': 1, 'image_id': 1, 'category_id': 1, 'bbox': [1, 1, 20, 20], 'area': 400, 'iscrowd': 0,
               'segmentation': [[1, 1, 21, 1, 21, 21]]}
        categories = [{'id': 0, 'name': 'pets', 'supercategory': 'none'},
                      {'id': 1, 'name': 'cat', 'supercategory': 'pets'}]
        images = [{'id': 1, 'file_name': '1.jpg', 'height': 40, 'width': 50}]
        content = {'info': split, 'images': images, 'categories': categories, 'annotations': [ann]}
        (folder / '_annotations.coco.json').write_text(json.dumps(content))
    code, text = check(tmp_path)
    assert code == 0
    assert '0 problems\n0 warnings' in text
    assert "metainfo=dict(classes=('cat',))" in text


def test_data_that_is_not_there_comes_with_the_two_ways_to_give_other(check, repository, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError) as caught:
        check(repository / 'configs/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py')
    text = str(caught.value)
    assert 'no data (train_dataloader.dataset.data_root) at data/coco/' in text
    assert '--data FOLDER' in text
    assert 'data_root=FOLDER' in text


@pytest.fixture
def spoilt(tmp_path, shared_data):
    """Two images of each split, with boxes of corners in the training."""
    folder = tmp_path / 'my data'
    (folder / 'annotations').mkdir(parents=True)
    for split in ('train', 'val'):
        (folder / f'{split}2017').mkdir()
        content = json.loads((shared_data / f'nuclei/annotations/instances_{split}2017.json').read_text())
        images = content['images'][:2]
        ids = {image['id'] for image in images}
        annotations = [ann for ann in content['annotations'] if ann['image_id'] in ids]
        for ann in annotations if split == 'train' else ():
            x, y, w, h = ann['bbox']
            ann['bbox'] = [x, y, x + w, y + h]
        for image in images:
            original = shared_data / f'nuclei/{split}2017' / image['file_name']
            (folder / f'{split}2017' / image['file_name']).write_bytes(original.read_bytes())
        content |= {'images': images, 'annotations': annotations}
        (folder / f'annotations/instances_{split}2017.json').write_text(json.dumps(content))
    return folder


def test_a_folder_is_repaired_into_another(check, spoilt, tmp_path):
    code, text = check(spoilt, '--quick')
    assert code == 1
    assert 'are [x1, y1, x2, y2]' in text
    assert '--fix OUT writes a copy' in text
    code, text = check(spoilt, '--quick', '--fix', tmp_path / 'repaired')
    assert code == 1
    assert 'bbox' in text
    assert 'changes.csv' in text
    assert check(tmp_path / 'repaired')[0] == 0
    with pytest.raises(UserError, match='there is something already'):
        check(spoilt, '--fix', tmp_path / 'repaired')
