"""A work-dir as a training leaves it, made in a moment: images, annotations, detections with errors of every kind."""

import json
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as mask_utils

from swin_mmdet.evaluation.kept_detections import keep_detections

CONFIG = """
data = dict(
    batch_size=2, num_workers=0, persistent_workers=False,
    sampler=dict(type='DefaultSampler', shuffle=False), dataset=dict(
        type='CocoDataset', ann_file={ann_file!r}, data_prefix=dict(img={images!r}),
        metainfo=dict(classes={classes!r}), filter_cfg=dict(filter_empty_gt=False),
        pipeline=[
            dict(type='LoadImageFromFile'),
            dict(type='LoadAnnotations', with_bbox=True, with_mask=True),
            dict(type='Resize', scale=(128, 96), keep_ratio=True),
            dict(type='RandomFlip', prob=1.0),
            dict(type='PackDetInputs'),
        ],
    ),
)
train_dataloader = val_dataloader = test_dataloader = data
val_evaluator = test_evaluator = dict(type='swin_mmdet.CocoMetric', ann_file={ann_file!r}, metric=['bbox', 'segm'])
model = dict(data_preprocessor=dict(
    type='DetDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True,
    pad_mask=True, pad_size_divisor=32,
))
default_scope = 'mmdet'
"""
LOG = """2026/11/30 10:00:00 - swin_mmdet - INFO - command: tools/train.py 'my config.py' --lr 0.1
2026/11/30 10:00:01 - mmengine - INFO - 1 x some CPU with 2 threads; Python 3.11.7, torch 2.14.1
2026/11/30 10:00:02 - mmengine - INFO - seed 42; the whole log, with the config: a.log
2026/11/30 10:10:00 - mmengine - INFO - Iter(train) [20/40]  lr: 1.0e-01
2026/11/30 11:00:03 - mmengine - INFO - saved
"""


def coco_data(names: list[str], images: int = 12, seed: int = 0, crowd: bool = False) -> tuple[dict, list[dict]]:
    """Annotations with boxes and polygons, and detections [with masks] of which many are wrong."""
    rng = np.random.default_rng(seed)
    categories = [{'id': 3 * index + 2, 'name': name} for index, name in enumerate(names)]
    truth = {'images': [], 'categories': categories, 'annotations': []}
    detections = []
    for index in range(images):
        id, width, height = 7 * index + 1, 160 if index % 3 else 120, 120
        truth['images'].append(dict(id=id, width=width, height=height, file_name=f'{index:03}.jpg'))
        for _ in range(rng.integers(0, 7)):
            w, h = (int(side) for side in rng.integers(12, 70, 2))
            box = [int(rng.integers(0, width - w)), int(rng.integers(0, height - h)), w, h]
            category = categories[rng.integers(len(names))]['id']
            is_crowd = int(crowd and rng.random() < 0.15)
            truth['annotations'].append(dict(
                id=len(truth['annotations']) + 1, image_id=id, category_id=category, bbox=box, area=w * h,
                iscrowd=is_crowd, segmentation=rle(box, width, height) if is_crowd else [corners(box)],
            ))  # fmt: skip
            for _ in range(rng.integers(0, 4)):
                moved = np.array(box) + rng.normal(0, rng.choice([0.03, 0.15, 0.4]), 4) * [w, h, w, h]
                other = categories[rng.integers(len(names))]['id']
                found = category if rng.random() < 0.75 else other
                detections.append(detection(id, found, moved, float(rng.random()), width, height))
        for _ in range(rng.integers(0, 3)):
            box = np.array([*rng.integers(0, 80, 2), *rng.integers(10, 40, 2)], float)
            category = categories[rng.integers(len(names))]['id']
            detections.append(detection(id, category, box, float(0.8 * rng.random()), width, height))
    return truth, detections


def corners(box: list[int]) -> list[int]:
    x, y, w, h = box
    return [x, y, x + w, y, x + w, y + h, x, y + h]


def rle(box: list | np.ndarray, width: int, height: int) -> dict:
    """Compressed run lengths of a filled box."""
    x, y, w, h = (float(value) for value in box)
    mask = np.zeros((height, width), np.uint8, order='F')
    mask[max(round(y), 0) : max(round(y + h), 0), max(round(x), 0) : max(round(x + w), 0)] = 1
    found = mask_utils.encode(mask)
    return {'size': [height, width], 'counts': found['counts'].decode()}


def detection(image_id: int, category_id: int, box: np.ndarray, score: float, width: int, height: int) -> dict:
    box = np.array([*box[:2], *np.maximum(box[2:], 2)], float)
    return dict(image_id=image_id, category_id=category_id, bbox=box.tolist(), score=score,
                segmentation=rle(box, width, height))  # fmt: skip


def write_images(truth: dict, folder: Path) -> None:
    """Grey images with a filled rectangle for each object."""
    folder.mkdir(parents=True)
    for image in truth['images']:
        picture = np.full((image['height'], image['width'], 3), 90, np.uint8)
        for ann in truth['annotations']:
            if ann['image_id'] == image['id']:
                x, y, w, h = ann['bbox']
                colour = [40 * (ann['category_id'] % 7), 80 + 30 * (ann['id'] % 5), 200]
                cv2.rectangle(picture, (x, y), (x + w - 1, y + h - 1), colour, -1)
        cv2.imwrite(str(folder / image['file_name']), picture)


def scalar_lines(first: int, last: int, interval: int = 10, evaluate_at: int = 20) -> list[dict]:
    """Lines of a training by iterations as mmengine writes them."""
    lines = []
    for step in range(first, last + 1, interval):
        counters = {'time': 0.5, 'iter': step, 'step': step}
        lines.append({'lr': 0.1 / step, 'loss': 3.0 / step, 'loss_cls': 1.0 / step} | counters)
        if step % evaluate_at == 0:
            lines.append({'coco/bbox_mAP': step / 100, 'coco/segm_mAP': step / 200, 'step': step, 'time': 0.1})
    return lines


def write_scalars(work_dir: Path, name: str, lines: list[dict], end: str = '') -> Path:
    path = work_dir / name / 'vis_data/scalars.json'
    path.parent.mkdir(parents=True)
    path.write_text('\n'.join(map(json.dumps, lines)) + end)
    return path


def sample_run(folder: Path, names: list[str], images: int = 12, seed: int = 0) -> Path:
    """The work-dir of a run on data beside it, in `folder`."""
    truth, detections = coco_data(names, images, seed)
    data, work_dir = folder / 'data', folder / 'my run'
    write_images(truth, data / 'images')
    ann_file = data / 'truth.json'
    ann_file.write_text(json.dumps(truth))
    work_dir.mkdir()
    values = dict(ann_file=str(ann_file), images=f'{data}/images/', classes=tuple(names))
    (work_dir / 'tiny.py').write_text(CONFIG.format(**values))
    write_scalars(work_dir, '20261130_100000', scalar_lines(10, 40))
    (work_dir / '20261130_100000/20261130_100000.log').write_text(LOG)
    result = folder / 'detections.json'
    result.write_text(json.dumps(detections))
    keep_detections(work_dir, {'bbox': str(result), 'segm': str(result)}, about_of(truth, ann_file))
    return work_dir


def about_of(truth: dict, ann_file: Path) -> dict:
    categories = truth['categories']
    return dict(
        ann_file=str(ann_file), classes=[one['name'] for one in categories], cat_ids=[one['id'] for one in categories],
        max_dets=[100, 300, 1000], iou_thrs=np.linspace(0.5, 0.95, 10).tolist(), weights='iteration 40', values={},
    )  # fmt: skip
