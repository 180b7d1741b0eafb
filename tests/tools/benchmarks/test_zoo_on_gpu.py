"""The benchmark of the whole zoo: its data are what recipes want, and a config that breaks costs one row."""

import csv
import json
from concurrent.futures import BrokenExecutor
from pathlib import Path

import cv2
import made_data
import pytest
import torch
import zoo_on_gpu
from mmengine.config import Config
from mmengine.registry import init_default_scope
from pycocotools.coco import COCO

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope='module')
def data(tmp_path_factory):
    return made_data.make_data(tmp_path_factory.mktemp('made'), 3)


def test_the_data_are_coco_and_masks_are_where_their_boxes_are(data):
    coco = COCO(data / 'annotations/instances_train.json')
    assert len(coco.imgs) == 3
    assert [one['name'] for one in coco.cats.values()] == list(made_data.CLASSES)
    for annotation in coco.anns.values():
        rows, columns = coco.annToMask(annotation).nonzero()
        x, y, width, height = annotation['bbox']
        assert columns.min() == pytest.approx(x, abs=3)
        assert columns.max() == pytest.approx(x + width, abs=3)
        assert rows.min() == pytest.approx(y, abs=3)
        assert rows.max() == pytest.approx(y + height, abs=3)
    assert json.loads((data / 'annotations/instances_val.json').read_text())['images'] == list(coco.imgs.values())[:2]
    stuff = cv2.imread(str(data / 'images/00001.png'), cv2.IMREAD_UNCHANGED)
    assert set(stuff.flatten()) <= set(made_data.STUFF)


@pytest.mark.parametrize(
    ('name', 'shape'),
    [
        ('dyhead/atss_swin-l-p4-w12_fpn_dyhead_ms-2x_coco.py', (3, 1200, 2000)),
        ('mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco-panoptic.py', (3, 1024, 1024)),
    ],
)
def test_a_recipe_makes_its_largest_images_of_them(name, shape, data):
    from mmdet.utils import register_all_modules
    from mmengine.runner import Runner

    register_all_modules()
    cfg = Config.fromfile(ROOT / 'configs' / name)
    made_data.on_made_data(cfg, data)
    init_default_scope('mmdet')
    batch = next(iter(Runner.build_dataloader(cfg.train_dataloader, seed=0)))
    assert len(batch['inputs']) == 2
    for image in batch['inputs']:
        assert image.shape == shape
    if 'panoptic' in name:
        assert batch['data_samples'][0].gt_sem_seg.sem_seg.min() >= 80


class Pool:
    """An executor whose every task ends in an error."""

    def __init__(self, error):
        self.error, self._processes = error, {}

    def submit(self, *_):
        return self

    def result(self, timeout):
        assert timeout == zoo_on_gpu.SECONDS
        raise self.error

    def shutdown(self, **_):
        pass


@pytest.mark.parametrize(
    ('error', 'failed', 'lives'),
    [
        (BrokenExecutor(), 'the process died', False),
        (TimeoutError(), 'not done after 180 s', False),
        (RuntimeError('CUDA error: an illegal access\nmore'), 'RuntimeError: CUDA error: an', False),
        (ValueError('wrong size'), 'ValueError: wrong size', True),
    ],
    ids=['died', 'hangs', 'CUDA', 'other'],
)
def test_a_config_that_fails_is_a_row(error, failed, lives):
    lane = zoo_on_gpu.Lane()
    lane.pool = Pool(error)
    (row,) = lane.run(Path('configs/dino/x.py'), Path('data'))
    assert row['config'] == 'dino/x'
    assert failed in row['failed']
    assert '\n' not in row['failed']
    # after it, the next config gets a process that is whole
    assert (lane.pool is not None) == lives


@pytest.mark.parametrize(('others', 'batches'), [(2**35, [4, 4]), (0, [4, 2])], ids=['beside others', 'alone'])
def test_without_memory_a_config_waits_for_others_or_takes_fewer_images(others, batches, monkeypatch):
    seen = []

    class Steps:
        wrapper = None

        def __init__(self, _cfg, batch_size):
            seen.append(batch_size)

        def train(self):
            if len(seen) == 1:
                raise torch.cuda.OutOfMemoryError
            return {'failed': ''}

    monkeypatch.setattr(zoo_on_gpu, 'Steps', Steps)
    monkeypatch.setattr(zoo_on_gpu, 'used_by_others', lambda: others)
    monkeypatch.setattr(zoo_on_gpu.time, 'sleep', lambda _: None)
    _, row = zoo_on_gpu.train_largest(Config({'train_dataloader': {'batch_size': 4}}))
    assert seen == batches
    assert row == {'precision': 'float32', 'note': '' if others else '4 images do not fit', 'failed': ''}


def test_rows_of_all_configs_are_written(monkeypatch, tmp_path, capsys):
    class Lane:
        def run(self, path, _data):
            row = dict.fromkeys(zoo_on_gpu.COLUMNS, '') | {'config': path.stem, 'mode': 'train'}
            return [row | {'failed': 'no' if path.stem == 'b' else ''}]

        def end(self):
            pass

    monkeypatch.setattr(zoo_on_gpu, 'Lane', Lane)
    monkeypatch.setattr(zoo_on_gpu, 'conditions', lambda commit: {'commit': commit})
    monkeypatch.setattr(zoo_on_gpu, 'IMAGES', 1)
    out = tmp_path / 'zoo.csv'
    zoo_on_gpu.main(['c.py', 'b.py', 'a.py', '--jobs', '2', '--commit', 'abc', '--out', str(out)])
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [row['config'] for row in rows] == ['a', 'b', 'c']
    assert {row['commit'] for row in rows} == {'abc'}
    assert '3 configs, 1 failed\n  b' in capsys.readouterr().out


def test_every_config_is_of_the_zoo():
    found = zoo_on_gpu.find_configs()
    assert len(found) == len(list((ROOT / 'configs').glob('[!_]*/*.py')))
