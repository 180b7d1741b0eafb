"""A small COCO data set on disk and a config that fits it."""

import copy
import json

import numpy as np
import pytest
from mmengine.config import Config
from PIL import Image

import swin_mmdet.compat  # noqa: F401

COCO = {
    'images': [{'id': id, 'file_name': f'{id}.jpg', 'height': 100, 'width': 100} for id in (1, 2, 3)],
    'categories': [{'id': 4, 'name': 'cat'}, {'id': 9, 'name': 'dog'}],
    'annotations': [
        {'id': id, 'image_id': image_id, 'category_id': category_id, 'bbox': [10, 20, 30, 40], 'area': 1200,
         'iscrowd': 0, 'segmentation': [[10, 20, 40, 20, 40, 60, 10, 60]]}
        for id, image_id, category_id in ((1, 1, 4), (2, 1, 9), (3, 2, 4))
    ],
}


@pytest.fixture
def coco():
    """A dict to spoil."""
    return copy.deepcopy(COCO)


@pytest.fixture
def write(tmp_path):
    """write(coco, split) puts annotations and grey noise into the folder and returns the annotation file."""

    def write_split(content, split='train', images=True):
        (tmp_path / 'annotations').mkdir(exist_ok=True)
        path = tmp_path / f'annotations/instances_{split}2017.json'
        path.write_text(json.dumps({'info': {'description': split}, **content}))
        (tmp_path / f'{split}2017').mkdir(exist_ok=True)
        for image in content['images'] if images else ():
            size = image.get('width') or 100, image.get('height') or 100
            rng = np.random.default_rng([len(split), *map(ord, str(image.get('id')))])
            picture = Image.fromarray(rng.integers(0, 256, size[::-1], np.uint8))
            picture.save(tmp_path / f'{split}2017' / image.get('file_name', 'x.jpg'))
        return path

    return write_split


@pytest.fixture
def config(tmp_path, write):
    """A Mask R-CNN config for the data of the two splits; `config(val=..., train=...)` takes spoilt dicts."""

    def make(train=None, val=None):
        for split, content in (('train', train), ('val', val)):
            write(copy.deepcopy(COCO) if content is None else content, split)
        pipeline = [{'type': 'LoadImageFromFile'}, {'type': 'LoadAnnotations', 'with_bbox': True, 'with_mask': True}]

        def dataset(split):
            return {
                'type': 'CocoDataset', 'data_root': str(tmp_path),
                'ann_file': f'annotations/instances_{split}2017.json',
                'data_prefix': {'img': f'{split}2017/'}, 'metainfo': {'classes': ('cat', 'dog')}, 'pipeline': pipeline,
            }

        evaluator = {'type': 'swin_mmdet.CocoMetric', 'metric': ['bbox', 'segm'],
                     'ann_file': str(tmp_path / 'annotations/instances_val2017.json')}
        head = {'num_classes': 2}
        return Config({
            'model': {'type': 'MaskRCNN', 'rpn_head': {'type': 'RPNHead', 'num_classes': 1},
                      'roi_head': {'bbox_head': [dict(head), dict(head)], 'mask_head': dict(head)}},
            'train_dataloader': {'dataset': dataset('train')},
            'val_dataloader': {'dataset': dataset('val')},
            'test_dataloader': {'dataset': dataset('val')},
            'val_evaluator': evaluator,
            'test_evaluator': copy.deepcopy(evaluator),
        })

    return make
