"""Other data put into a config, and the loaders of it: every setting that changes, and those that stay."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmcv.transforms import LoadImageFromFile
from mmengine.config import Config
from mmengine.logging import MMLogger

from swin_mmdet.datasets.data_folder import check_instances, move_data, use_folder
from swin_mmdet.datasets.loaders import set_batch_size, set_workers, steps_of_epoch
from swin_mmdet.datasets.missing_data import REMEDY, check_folders
from swin_mmdet.errors import UserError

LOADING = dict(type='LoadImageFromFile')


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two splits of an image each, with three classes."""
    for split in ('train', 'val'):
        (tmp_path / f'{split}2017').mkdir()
        Image.new('L', (8, 6), 9).save(tmp_path / f'{split}2017/{split}.png')
        content = dict(
            images=[dict(id=1, file_name=f'{split}.png', width=8, height=6)], annotations=[],
            categories=[dict(id=id, name=name) for id, name in enumerate('cab', 1)],
        )  # fmt: skip
        (tmp_path / 'annotations').mkdir(exist_ok=True)
        (tmp_path / f'annotations/instances_{split}2017.json').write_text(json.dumps(content))
    return tmp_path


def dataset(**more) -> dict:
    made = dict(type='CocoDataset', data_root='data/coco/', ann_file='a.json', data_prefix=dict(img='x/'), indices=[1])
    return made | dict(pipeline=[LOADING, dict(type='LoadAnnotations')]) | more


def config(**more) -> Config:
    evaluator = dict(type='CocoMetric', ann_file='data/coco/annotations/a.json')
    return Config(dict(
        model=dict(bbox_head=dict(num_classes=80), panoptic_head=dict(
            num_things_classes=80, num_stuff_classes=1, loss_cls=dict(class_weight=[2.0] * 81 + [0.1]))),
        train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dataset())),
        val_dataloader=dict(dataset=dataset()), test_dataloader=dict(dataset=dataset()),
        val_evaluator=evaluator, test_evaluator=[dict(type='Other'), dict(evaluator)],
    ) | more)  # fmt: skip


def test_a_folder_in_the_place_of_the_data(folder: Path, tmp_path: Path):
    cfg = config()
    use_folder(cfg, str(folder), tmp_path / 'cache')
    nodes = dict(
        train=cfg.train_dataloader.dataset.dataset, val=cfg.val_dataloader.dataset, test=cfg.test_dataloader.dataset
    )
    for split, node in nodes.items():
        name = 'train' if split == 'train' else 'val'
        assert 'indices' not in node
        assert (node.data_root, node.ann_file) == ('', str(folder / f'annotations/instances_{name}2017.json'))
        assert node.data_prefix == dict(img=f'{folder}/{name}2017/')
        assert node.metainfo == dict(classes=('c', 'a', 'b'))
        assert node.pipeline[0] == LOADING
    val = str(folder / 'annotations/instances_val2017.json')
    assert (cfg.val_evaluator.ann_file, cfg.test_evaluator[1].ann_file) == (val, val)
    assert cfg.test_evaluator[0] == dict(type='Other')
    head = cfg.model.panoptic_head
    assert (cfg.model.bbox_head.num_classes, head.num_things_classes) == (3, 3)
    assert list(head.loss_cls.class_weight) == [2.0] * 4 + [0.1]


def test_images_of_many_bits_and_steps_that_read_in_another_way(folder: Path, tmp_path: Path, caplog):
    Image.fromarray(np.full((6, 8), 1000, np.uint16)).save(folder / 'val2017/val.png')
    steps = [
        LOADING, dict(type='mmdet.LoadImageFromFile'), dict(type=LoadImageFromFile),
        dict(type='LoadImageFromFile', color_type='color', imdecode_backend='cv2', to_float32=True),
        dict(type='LoadImageFromFile', color_type='unchanged'),
        dict(type='LoadImageFromFile', imdecode_backend='pillow'), dict(type='Other'),
    ]  # fmt: skip
    cfg = config(train_dataloader=dict(dataset=dataset(pipeline=steps)))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        use_folder(cfg, str(folder), tmp_path / 'cache')
    finally:
        logger.removeHandler(caplog.handler)
    ours = dict(type='swin_mmdet.LoadImageFromFile', bits=10)
    found = cfg.train_dataloader.dataset.pipeline
    assert found[:3] == [ours] * 3
    assert found[3] == ours | dict(color_type='color', imdecode_backend='cv2', to_float32=True)
    assert found[4:] == steps[4:]
    assert cfg.val_dataloader.dataset.pipeline[0] == cfg.test_dataloader.dataset.pipeline[0] == ours
    said = [one.getMessage() for one in caplog.records]
    assert 'data: images are read by swin_mmdet.LoadImageFromFile(bits=10)' in said


def test_a_folder_that_is_none(tmp_path: Path):
    with pytest.raises(UserError, match=f'^--data {tmp_path}/nowhere: no such folder: {tmp_path}/nowhere$'):
        use_folder(config(), f'{tmp_path}/nowhere', tmp_path)


def test_a_config_for_panoptic_annotations():
    cfg = config(train_dataloader=dict(dataset=dict(type='RepeatDataset', dataset=dict(type='CocoPanopticDataset'))))
    with pytest.raises(UserError) as caught:
        check_instances(cfg, 'folder')
    assert str(caught.value) == (
        '--data folder: it has instances, and this config trains on panoptic annotations (CocoPanopticDataset); take '
        'the config of the same detector for instances'
    )
    check_instances(config(), 'folder')


@pytest.mark.parametrize('new', ['/disk/coco', '/disk/coco/'])
def test_data_in_another_place(new: str):
    cfg = config(data_root='data/coco/')
    cfg.val_dataloader.dataset.data_root = 'data/coco'
    cfg.test_dataloader.dataset.data_root = 'data/cocoa/'
    cfg.other = dict(data_root='data/coco/')
    cfg.train_dataloader.dataset.dataset.ann_file = 'data/coco/sub/a.json'
    move_data(cfg, new)
    assert cfg.data_root == '/disk/coco/'
    train = cfg.train_dataloader.dataset.dataset
    assert (train.data_root, train.ann_file, train.data_prefix.img) == ('/disk/coco/', '/disk/coco/sub/a.json', 'x/')
    assert cfg.val_dataloader.dataset.data_root == '/disk/coco/'
    assert cfg.test_dataloader.dataset.data_root == 'data/cocoa/'
    assert cfg.val_evaluator.ann_file == cfg.test_evaluator[1].ann_file == '/disk/coco/annotations/a.json'
    assert cfg.other.data_root == 'data/coco/'
    with pytest.raises(UserError) as caught:
        move_data(config(), new)
    assert str(caught.value) == (
        'data_root=... moves the data of configs that have a data_root, this one has none'
    )  # fmt: skip


def test_folders_that_are_not_there(tmp_path: Path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    cfg = config()
    with pytest.raises(UserError) as caught:
        check_folders(cfg)
    where = f'(train_dataloader.dataset.dataset.data_root) at data/coco/ (looked from {tmp_path})'
    assert str(caught.value) == f'no data {where}; {REMEDY}'
    for loader in (cfg.train_dataloader.dataset, cfg.val_dataloader, cfg.test_dataloader):
        loader.dataset.data_root = str(tmp_path)
    check_folders(cfg)
    for elsewhere in (dict(data_root=''), dict(data_root=None), dict(data_root='s3://coco'),
                      dict(data_root='nowhere', backend_args=dict(backend='petrel'))):  # fmt: skip
        cfg.test_dataloader.dataset = dataset(**elsewhere)
        check_folders(cfg)
    cfg.test_dataloader.dataset = dataset(data_root='nowhere', backend_args=dict(backend='local'))
    with pytest.raises(UserError, match=r'test_dataloader\.dataset\.data_root'):
        check_folders(cfg)


def test_batches_and_workers_are_said():
    loader = dict(batch_size=2, num_workers=4, persistent_workers=True, prefetch_factor=2, timeout=9, sampler=dict(
        type='A', batch_size=2), batch_sampler=dict(type='B', drop_last=True))  # fmt: skip
    cfg = Config(dict(train_dataloader=loader, val_dataloader=dict(num_workers=2), test_dataloader=None))
    assert list(set_batch_size(cfg, 8)) == [
        'train_dataloader.batch_size 2 -> 8', 'train_dataloader.sampler.batch_size 2 -> 8']  # fmt: skip
    assert list(set_workers(cfg, 1)) == ['num_workers of train 4 -> 1', 'num_workers of val 2 -> 1']
    assert (cfg.train_dataloader.persistent_workers, cfg.train_dataloader.prefetch_factor) == (True, 2)
    set_workers(cfg, 0)
    assert cfg.train_dataloader.persistent_workers is False
    assert not {'prefetch_factor', 'timeout'} & set(cfg.train_dataloader)
    cfg.train_dataloader.sampler = dict(type='Mixed', batch_size=[1, 2])
    with pytest.raises(UserError) as caught:
        set_batch_size(cfg, 4)
    assert str(caught.value) == (
        '--batch-size 4: Mixed of this config mixes data sets, [1, 2] a batch; set train_dataloader.sampler.batch_size '
        '(--cfg-options)'
    )


@pytest.mark.parametrize(
    ('images', 'processes', 'loader', 'steps'),
    [
        *((8, 1, {}, 2), (9, 1, {}, 3), (9, 1, dict(drop_last=True), 2), (3, 1, dict(drop_last=True), 1)),
        *((9, 2, {}, 2), (8, 2, {}, 1), (9, 2, dict(batch_sampler=dict(drop_last=True)), 1)),
        *((9, 1, dict(batch_sampler=dict(drop_last=False)), 3), (9, 1, dict(batch_sampler=None), 3)),
    ],
)
def test_steps_of_an_epoch(images: int, processes: int, loader: dict, steps: int):
    assert steps_of_epoch(Config(dict(train_dataloader=dict(batch_size=4) | loader)), images, processes) == steps
