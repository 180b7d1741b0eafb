"""test.py on annotations whose ids are text and whose sizes are floats."""

import importlib
import json
import shutil
from pathlib import Path

import pytest

ANNOTATIONS = 'annotations/instances_{}2017.json'


def as_text(content: dict) -> dict:
    """The same annotations, spelt in another way."""
    for image in content['images']:
        image.update(id=f'{image["id"]:05}', height=float(image['height']), width=float(image['width']))
    for category in content['categories']:
        category['id'] = str(category['id'])
    for ann in content['annotations']:
        ann.update(image_id=f'{ann["image_id"]:05}', category_id=str(ann['category_id']), iscrowd=bool(ann['iscrowd']))
    return content


def test_the_same_numbers_come_out(trained: Path, shapes: Path, tmp_path: Path):
    spelt = tmp_path / 'spelt'
    shutil.copytree(shapes, spelt)
    for split in ('train', 'val'):
        path = spelt / ANNOTATIONS.format(split)
        path.write_text(json.dumps(as_text(json.loads(path.read_text()))))
    found = []
    for data, backend in ((shapes, 'pycocotools'), (spelt, 'pycocotools'), (spelt, 'faster_coco_eval')):
        work_dir = tmp_path / f'{data.name} {backend}'
        arguments = [
            trained / 'tiny.py', trained / 'epoch_3.pth', '--data', data, '--work-dir', work_dir,
            # what little was learnt finds something
            '--cfg-options', f'test_evaluator.eval_backend={backend}', 'test_evaluator.iou_thrs=[0.02]',
        ]  # fmt: skip
        importlib.import_module('swin_mmdet.commands.test').main([str(argument) for argument in arguments])
        (metrics,) = work_dir.glob('[0-9]*/*.json')
        found.append({name: value for name, value in json.loads(metrics.read_text()).items() if 'mAP' in name})
    assert found[0]['coco/bbox_mAP'] > 0
    assert len(found[0]) == 12
    for other in found[1:]:
        assert other == pytest.approx(found[0], abs=1e-9)
