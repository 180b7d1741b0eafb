"""COCO dicts made for the tests, and pycocotools as the oracle."""

import contextlib
import copy
import io
import json

import numpy as np
import torch
from pycocotools import mask as mask_utils
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval

from swin_mmdet.evaluation import CocoMetric


def annotation(id, image_id, category_id, bbox, **more):
    x, y, w, h = bbox
    polygon = [[x, y, x + w, y, x + w, y + h, x, y + h]]
    return dict(id=id, image_id=image_id, category_id=category_id, bbox=bbox, segmentation=polygon, area=w * h,
                iscrowd=0) | more


def detection(image_id, category_id, bbox, score=0.9):
    return {'image_id': image_id, 'category_id': category_id, 'bbox': bbox, 'score': score}


def rectangle(bbox, height=100, width=100):
    """Compressed RLE of a filled box."""
    x, y, w, h = bbox
    mask = np.zeros((height, width), dtype=np.uint8, order='F')
    mask[y:y + h, x:x + w] = 1
    rle = mask_utils.encode(mask)
    return {'size': rle['size'], 'counts': rle['counts'].decode()}


def oracle(ground_truth, detections, iou_type, max_dets=(1, 10, 100)):
    """The 12 numbers as pycocotools alone computes them."""
    with contextlib.redirect_stdout(io.StringIO()):
        gt = COCO()
        gt.dataset = copy.deepcopy(ground_truth)
        gt.createIndex()
        evaluator = COCOeval(gt, gt.loadRes(copy.deepcopy(detections)), iou_type)
        evaluator.params.maxDets = list(max_dets)
        evaluator.evaluate()
        evaluator.accumulate()
        evaluator.summarize()
    return evaluator.stats


def metric_on(ground_truth, tmp_path, classes=None, **kwargs):
    """CocoMetric that reads `ground_truth` from a file."""
    path = tmp_path / 'annotations.json'
    path.write_text(json.dumps(ground_truth))
    metric = CocoMetric(ann_file=str(path), **kwargs)
    metric.dataset_meta = {'classes': classes or tuple(category['name'] for category in ground_truth['categories'])}
    return metric


def feed(metric, ground_truth, detections, device_dtype=torch.float64):
    """Hand the detections to `process` as a detector does: one sample per image, boxes as corners, labels by class."""
    label = {category['id']: index for index, category in enumerate(ground_truth['categories'])}
    for image in ground_truth['images']:
        found = [det for det in detections if det['image_id'] == image['id']]
        corners = [[x, y, x + w, y + h] for x, y, w, h in (det.get('bbox', [0, 0, 1, 1]) for det in found)]
        instances = {
            'bboxes': torch.tensor(corners, dtype=device_dtype).reshape(-1, 4),
            'scores': torch.tensor([det['score'] for det in found], dtype=device_dtype),
            'labels': torch.tensor([label[det['category_id']] for det in found], dtype=torch.long),
        }
        if any('segmentation' in det for det in detections):
            instances['masks'] = [copy.deepcopy(det['segmentation']) for det in found]
        metric.process({}, [{
            'img_id': image['id'], 'ori_shape': (image['height'], image['width']), 'pred_instances': instances,
        }])
    return metric


def noisy(ground_truth, seed=0, fraction=0.8):
    """Detections made of the ground truth: boxes moved, some left out, some doubled, some of a wrong class."""
    rng = np.random.default_rng(seed)
    cat_ids = [category['id'] for category in ground_truth['categories']]
    found = []
    for ann in ground_truth['annotations']:
        for _ in range(rng.integers(1, 3)):
            if rng.random() > fraction:
                continue
            x, y, w, h = ann['bbox']
            dx, dy, dw, dh = rng.normal(0, 0.08, 4)
            category = ann['category_id'] if rng.random() < 0.9 else int(rng.choice(cat_ids))
            found.append(detection(ann['image_id'], category, [x + dx * w, y + dy * h, w * np.exp(dw), h * np.exp(dh)],
                                   float(np.round(rng.random(), 2))))
    return found
