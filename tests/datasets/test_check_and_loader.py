"""What the check lets pass, mmdet's dataset and our loader take, and masks and boxes are mmdet's; whatever is wrong."""

import copy
import json
import random

import numpy as np
import pytest
from mmdet.registry import DATASETS
from mmengine.config import Config
from mmengine.registry import DefaultScope
from PIL import Image
from pycocotools import mask as rle_codec

from swin_mmdet.datasets import find_problems
from swin_mmdet.datasets.problems import ERROR
from swin_mmdet.evaluation import evaluate_coco
from tests.structures.annotations import compressed, uncompressed

HEIGHT, WIDTH = 40, 50
ROUNDS, SPOILT_EACH_ROUND = 4, 50
NUMBERS = [0, -1, 1, 2, 7, 1.0, 2.5, 1e30, -1e30, 10**400, float('nan'), float('inf'), True, False]
OTHERS = [None, '', '1', 'x', [], [[]], {}, [1, 2], [[1, 2, 3]], {'size': 3}, {'counts': 'x', 'size': [HEIGHT, WIDTH]}]


def healthy():
    """Polygons, run lengths of both kinds, an object of two parts, a crowd, and an image without objects."""
    bitmap = np.zeros((HEIGHT, WIDTH), np.uint8)
    bitmap[5:20, 8:30] = 1
    masks = [
        [[8.0, 5.0, 30.0, 5.0, 30.0, 20.0, 8.0, 20.0]], compressed(bitmap), uncompressed(bitmap),
        [[8.5, 5.0, 20.0, 5.0, 20.0, 20.0], [22.0, 9.0, 30.0, 9.0, 30.0, 20.0, 22.5, 19.5]], uncompressed(bitmap),
    ]  # fmt: skip
    return {
        'images': [{'id': id, 'file_name': f'{id}.png', 'height': HEIGHT, 'width': WIDTH} for id in (1, 2, 3)],
        'categories': [{'id': 1, 'name': 'cat', 'supercategory': 'pet'}, {'id': 4, 'name': 'dog'}],
        'annotations': [
            {'id': 10 + index, 'image_id': 1 + index % 2, 'category_id': (1, 4)[index % 3 == 0],
             'bbox': [8.0, 5.0, 22.0, 15.0], 'area': 330.0, 'iscrowd': int(index == 4), 'segmentation': mask}
            for index, mask in enumerate(masks)
        ],
    }


def spoil(rng, node):
    """Change one thing somewhere in a dict or list: take it away, cut it, or put something else into its place."""
    keys = list(node) if isinstance(node, dict) else list(range(len(node)))
    if not keys:
        return
    key = rng.choice(keys)
    value = node[key]
    if isinstance(value, (dict, list)) and rng.random() < 0.75:
        spoil(rng, value)
    elif rng.random() < 0.15:
        del node[key]
    elif isinstance(value, (str, list)) and rng.random() < 0.4:
        cut = rng.randrange(len(value) + 1)
        node[key] = rng.choice([value[:cut], value[cut:], value + value[:cut]])
    elif isinstance(value, (int, float)) and rng.random() < 0.3:
        node[key] = rng.choice([str(value), float(value) if abs(value) < 1e300 else 0, value + 1, -value, [value]])
    else:
        node[key] = copy.deepcopy(rng.choice([*NUMBERS, *OTHERS]))


def write(folder, coco):
    """The annotations of the training, and those of the validation, of other images with the same names; their text."""
    for split in ('train', 'val'):
        (folder / f'{split}.json').write_text(json.dumps({'info': split, **coco}))
    return json.dumps(coco)


def dataset(folder, scope, split='train', **options):
    steps = [
        dict(type='LoadImageFromFile'),
        dict(type=f'{scope}.LoadAnnotations', with_bbox=True, with_mask=True),
        dict(type=f'{scope}.PackDetInputs'),
    ]
    return dict(
        type='mmdet.CocoDataset', ann_file=str(folder / f'{split}.json'), data_prefix=dict(img=f'{folder}/{split}'),
        metainfo=dict(classes=('cat', 'dog')), pipeline=steps, serialize_data=False, **options,
    )  # fmt: skip


def config(folder):
    evaluator = dict(type='swin_mmdet.CocoMetric', metric=['bbox', 'segm'], ann_file=str(folder / 'val.json'))
    train = dataset(folder, 'swin_mmdet', filter_cfg=dict(filter_empty_gt=True, min_size=32))
    return Config(dict(
        train_dataloader=dict(dataset=train),
        val_dataloader=dict(dataset=dataset(folder, 'swin_mmdet', 'val', test_mode=True)),
        val_evaluator=evaluator,
    ))  # fmt: skip


def assert_loads_as_mmdet_does(folder):
    """One epoch of training and of validation data."""
    for split in ({'filter_cfg': dict(filter_empty_gt=True, min_size=32)}, {'test_mode': True}):
        ours, theirs = (DATASETS.build(dataset(folder, scope, **split)) for scope in ('swin_mmdet', 'mmdet'))
        assert len(ours) == len(theirs) > 0
        for mine, other in zip(ours, theirs):
            for kind in ('gt_instances', 'ignored_instances'):
                mine_of, other_of = (one['data_samples'].get(kind) for one in (mine, other))
                assert np.array_equal(mine_of.bboxes.tensor, other_of.bboxes.tensor)
                assert np.array_equal(mine_of.labels, other_of.labels)
                assert np.array_equal(mine_of.masks.to_ndarray(), other_of.masks.to_ndarray())


@pytest.fixture
def folder(tmp_path):
    rng = np.random.default_rng(0)
    for split in ('train', 'val'):
        (tmp_path / split).mkdir()
        for id in (1, 2, 3):
            noise = Image.fromarray(rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))
            noise.save(tmp_path / f'{split}/{id}.png')
    with DefaultScope.overwrite_default_scope('mmdet'):
        yield tmp_path


def test_healthy_data_passes(folder):
    write(folder, healthy())
    assert find_problems(config(folder))[0] == []
    assert_loads_as_mmdet_does(folder)
    expected = rle_codec.decode(healthy()['annotations'][1]['segmentation'])
    loaded = DATASETS.build(dataset(folder, 'swin_mmdet'))
    first, second = (loaded[index]['data_samples'] for index in (0, 1))
    np.testing.assert_array_equal(second.gt_instances.masks.to_ndarray()[0], expected)
    assert len(first.ignored_instances.masks) == 1


@pytest.mark.parametrize('seed', range(ROUNDS))
def test_what_the_check_lets_pass_is_loaded_and_evaluated(folder, seed, capfd):
    rng, passed = random.Random(seed), 0
    for number in range(SPOILT_EACH_ROUND):
        coco = healthy()
        for _ in range(rng.choice([1, 1, 1, 2])):
            spoil(rng, coco[rng.choice(['images', 'categories', 'annotations', 'annotations', 'annotations'])])
        text = write(folder, coco)
        problems = [problem for problem in find_problems(config(folder))[0] if problem.level == ERROR]
        if problems:
            assert all(str(folder) in problem.what and problem.remedy for problem in problems), text
            continue
        passed += 1
        try:
            assert_loads_as_mmdet_does(folder)
            for iou_type in ('bbox', 'segm'):
                evaluate_coco(json.loads(text), [], iou_type)
        except Exception as error:
            raise AssertionError(f'round {number} passed the check: {text}') from error
    capfd.readouterr()  # of pycocotools
    assert passed
