"""From which files a repair starts, and what it writes: names, links, the list of changes and its summary."""

import copy
import csv
import json
import os
from pathlib import Path

import pytest

from swin_mmdet.datasets import discover
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.repair.change import Change
from swin_mmdet.datasets.repair.parts import parts_of_config, parts_of_file, parts_of_folder
from swin_mmdet.datasets.repair.write import ToRepair, summary, what_is_left, write_repaired
from swin_mmdet.errors import UserError
from tests.datasets.conftest import COCO


def shown(parts: list[ToRepair]) -> list[tuple]:
    return [(part.name, part.link, part.ann_file, part.images) for part in parts]


def test_parts_of_a_folder(write, tmp_path: Path):
    files = [write(copy.deepcopy(COCO), split) for split in ('train', 'val')]
    expected = [(f'instances_{split}2017.json', f'{split}2017', file, tmp_path / f'{split}2017')
                for split, file in zip(('train', 'val'), files, strict=True)]  # fmt: skip
    assert shown(parts_of_folder(tmp_path, lambda: discover(tmp_path))) == expected

    def cannot():
        raise ValueError('not so')

    # as UTF-16, which a training does not read
    files[0].write_bytes(files[0].read_text().encode('utf-16'))
    assert shown(parts_of_folder(tmp_path, cannot)) == expected
    files[1].unlink()
    with pytest.raises(FileNotFoundError, match=r'^no val annotations in '):
        parts_of_folder(tmp_path, cannot)


def test_parts_of_a_file(write, tmp_path: Path):
    file = write(copy.deepcopy(COCO), 'val')
    name = 'instances_val2017.json'
    assert shown(parts_of_file(file, None)) == [(name, 'val2017', file, tmp_path / 'val2017')]
    assert shown(parts_of_file(file, tmp_path / 'mine')) == [(name, 'mine', file, tmp_path / 'mine')]


def test_parts_of_a_config(config, write, tmp_path: Path):
    cfg = config()
    val = ('instances_val2017.json', 'val2017', tmp_path / 'annotations/instances_val2017.json', tmp_path / 'val2017')
    train = ('instances_train2017.json', 'train2017', tmp_path / 'annotations/instances_train2017.json',
             tmp_path / 'train2017')  # fmt: skip
    assert shown(parts_of_config(cfg)) == [train, val]
    more = copy.deepcopy(cfg.train_dataloader.dataset)
    more.ann_file, more.pipeline[0]['imdecode_backend'] = 'annotations/instances_more2017.json', 'pillow'
    without = copy.deepcopy(more)
    del without['data_prefix']
    write(copy.deepcopy(COCO), 'more', images=False)
    cfg.train_dataloader.dataset = dict(type='ConcatDataset', datasets=[cfg.train_dataloader.dataset, without, more])
    parts = parts_of_config(cfg)
    second = ('instances_train2_2017.json', 'train2_2017', tmp_path / 'annotations/instances_more2017.json',
              tmp_path / 'train2017')  # fmt: skip
    assert shown(parts) == [train, second, val]
    assert [part.reader.step.imdecode_backend for part in parts] == ['cv2', 'pillow', 'cv2']


def test_what_is_written(write, tmp_path: Path):
    train, val = copy.deepcopy(COCO), copy.deepcopy(COCO)
    train['annotations'][0]['area'] = '1200'
    val['categories'].append(dict(id=12, name='caf\u00e9'))
    val['images'].append(dict(id=9, file_name='gone.jpg', width=100, height=100))
    parts = []
    for split, content in (('train', train), ('val', val)):
        file = write(content, split, images=False)
        (tmp_path / f'{split}2017').mkdir(exist_ok=True)
        parts.append(ToRepair(f'{split}.json', f'{split} images', file, tmp_path / f'{split}2017', ImageReader()))
    for split in ('train', 'val'):
        write(copy.deepcopy(COCO), split, images=True)
        spoilt = json.dumps(train if split == 'train' else val)
        (tmp_path / f'annotations/instances_{split}2017.json').write_text(spoilt)
    out = tmp_path / 'deep/out'
    changes = write_repaired(parts, out, CheckOptions())
    assert changes == [
        Change('area_value', 'annotation 1', "area '1200' written as 1200, of its mask"),
        Change('categories_differ', 'category 10', "'caf\u00e9' added, which another split has"),
        Change('image_missing', 'image 9', "left out: there is no 'gone.jpg' in the folder of the images"),
    ]
    with open(out / 'changes.csv', newline='', encoding='utf-8') as file:
        rows = list(csv.reader(file))
    assert rows == [['file', 'kind', 'item', 'change'], *(
        [name, one.kind, one.item, one.what] for name, one in zip(('train.json', 'train.json', 'val.json'), changes,
                                                                  strict=True))]  # fmt: skip
    assert sorted(os.listdir(out)) == ['annotations', 'changes.csv', 'train images', 'val images']
    for split in ('train', 'val'):
        assert (out / f'{split} images').resolve() == (tmp_path / f'{split}2017').resolve()
    text = (out / 'annotations/train.json').read_bytes()
    assert 'caf\u00e9'.encode() in text
    assert [one['name'] for one in json.loads(text)['categories']] == ['cat', 'dog', 'caf\u00e9']
    left = what_is_left(parts, out, CheckOptions())
    assert {(one.where, one.kind) for one in left} == {('train.json', 'category_empty'), ('val.json', 'category_empty')}
    with pytest.raises(UserError) as caught:
        write_repaired(parts, out, CheckOptions())
    assert str(caught.value) == f'--fix {out}: there is something already; name a new folder'
    with pytest.raises(UserError, match='there is something already'):
        write_repaired(parts, out / 'changes.csv', CheckOptions())


def test_an_empty_folder_may_be_written_into(tmp_path: Path):
    (tmp_path / 'out').mkdir()
    assert write_repaired([], tmp_path / 'out', CheckOptions()) == []
    assert (tmp_path / 'out/changes.csv').read_text().strip() == 'file,kind,item,change'


def test_a_summary_counts_by_kind_and_shows_the_first():
    changes = [Change('a', 'x 1', 'one'), Change('b', 'y 2', 'two'), Change('b', 'y 3', 'three')]
    assert summary(changes) == '2 x y 2: two\n1 x x 1: one'
    assert summary([]) == 'nothing was changed'
