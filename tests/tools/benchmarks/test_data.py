"""The benchmark of training pipelines, on three small images."""

import csv
import json
import sys

import data
import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def folder(tmp_path):
    """COCO's layout with a square on noise in each image."""
    (tmp_path / 'train2017').mkdir()
    (tmp_path / 'annotations').mkdir()
    images = [{'id': id, 'file_name': f'{id}.jpg', 'height': 60, 'width': 80} for id in (1, 2, 3)]
    square = [10, 20, 40, 20, 40, 50, 10, 50]
    objects = [
        {'id': id, 'image_id': id, 'category_id': 1, 'bbox': [10, 20, 30, 30], 'area': 900, 'iscrowd': 0,
         'segmentation': [square]}
        for id in (1, 2, 3)
    ]  # fmt: skip
    content = {'images': images, 'annotations': objects, 'categories': [{'id': 1, 'name': 'person'}]}
    (tmp_path / 'annotations/instances_train2017.json').write_text(json.dumps(content))
    for image in images:
        pixels = np.random.default_rng(image['id']).integers(0, 256, (60, 80, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / 'train2017' / image['file_name'])
    return tmp_path


def test_both_ways_are_timed_on_the_same_samples(folder, tmp_path, monkeypatch, capsys):
    out = tmp_path / 'data.csv'
    arguments = [folder, '--images', 4, '--commit', 'abc', '--out', out]
    monkeypatch.setattr(sys, 'argv', ['data.py', *map(str, arguments)])
    data.main()
    with out.open() as file:
        rows = list(csv.DictReader(file))
    steps = {(row['way'], row['step']): row for row in rows}
    pipeline = 'LoadImageFromFile', 'LoadAnnotations', 'RandomFlip', 'RandomChoice', 'PackDetInputs'
    assert set(steps) >= {(way, step) for way in data.WAYS for step in (*pipeline, 'all', 'worker')}
    assert all(float(row['images a second']) > 0 for row in rows)
    ours, mmdets = (steps[way, 'all'] for way in ('ours', 'mmdet'))
    total = sum(float(steps['ours', step]['ms an image']) for step in pipeline)
    assert float(ours['ms an image']) == pytest.approx(total, abs=1e-3)
    assert float(ours['KiB pickled']) < float(mmdets['KiB pickled'])
    assert float(steps['cv2', 'decode']['as cv2']) == 1
    assert 'images/s' in capsys.readouterr().out


def test_the_ways_differ_in_their_transforms_alone(folder):
    samples = data.read(data.CONFIG, folder, 2)
    kinds = {way: [type(step).__module__.split('.')[0] for step in one.steps] for way, one in samples.items()}
    assert 'swin_mmdet' not in kinds['mmdet']
    assert kinds['ours'] == ['swin_mmdet', 'swin_mmdet', 'swin_mmdet', 'mmcv', 'swin_mmdet']
    theirs, ours = (samples[way][1] for way in data.WAYS)
    np.testing.assert_array_equal(theirs['inputs'], ours['inputs'])


def test_configs_of_either_way_give_both():
    nested = [{'type': 'RandomChoice', 'transforms': [[{'type': 'swin_mmdet.RandomFlip', 'prob': 0.5}]]}]
    plain = [{'type': 'RandomChoice', 'transforms': [[{'type': 'RandomFlip', 'prob': 0.5}]]}]
    assert data.of_way(nested, 'mmdet') == data.of_way(plain, 'mmdet') == plain
    assert data.of_way(plain, 'ours') == data.of_way(nested, 'ours') == nested
