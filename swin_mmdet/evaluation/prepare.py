"""Copies of ground truth and detections that every evaluator counts right.

The evaluators write into the dicts they are given, take annotation id 0 for 'not matched', keep one of two annotations
with the same id, and one of them wants integer image ids. So each gets fresh dicts: images are numbered in the order of
their ids (ties between equal scores are broken in that order), annotations in the order of the file.
"""

import logging
from collections.abc import Sequence

from mmengine.logging import print_log
from pycocotools import mask as mask_utils


def prepare_ground_truth(ground_truth: dict, img_ids: Sequence, cat_ids: Sequence[int], iou_type: str) -> dict:
    """COCO dict of the chosen images and categories, every annotation with 'id', 'area' and 'iscrowd'.

    Raises:
        ValueError: an annotation lacks the box ('bbox') or the mask ('segm').
    """
    number = _number(img_ids)
    images = {image['id']: image for image in ground_truth['images']}
    wanted = 'segmentation' if iou_type == 'segm' else 'bbox'
    annotations, without_area, without_wanted, chosen = [], 0, [], set(cat_ids)
    for ann in ground_truth.get('annotations', ()):
        if ann['image_id'] not in number or ann['category_id'] not in chosen:
            continue
        if not ann.get(wanted):
            without_wanted.append(ann['id'])
            continue
        area = ann.get('area')
        if area is None:
            without_area += 1
            area = _area(ann, images[ann['image_id']])
        annotations.append({
            'id': len(annotations) + 1,
            'image_id': number[ann['image_id']],
            'category_id': ann['category_id'],
            wanted: ann[wanted],
            'area': area,
            'iscrowd': int(ann.get('iscrowd', 0)),
        })
    if without_wanted:
        raise ValueError(
            f"{len(without_wanted)} annotations of the ground truth have no '{wanted}', which '{iou_type}' evaluation "
            f'compares (annotation ids {without_wanted[:3]})'
        )
    if without_area:
        print_log(
            f"{without_area} annotations have no 'area'; the area of the mask, or of the box, decides which of them "
            'are small, medium and large',
            logger='current',
            level=logging.WARNING,
        )
    return _dataset(ground_truth, number, chosen, annotations)


def prepare_detections(
    ground_truth: dict, detections: Sequence[dict], img_ids: Sequence, cat_ids: Sequence[int], iou_type: str
) -> dict:
    """COCO dict of the detections on the chosen images and categories, with 'id', 'area' and 'iscrowd'.

    Raises:
        ValueError: a detection is on an image that the ground truth does not have.
    """
    known = {image['id'] for image in ground_truth['images']}
    unknown = sorted({str(det['image_id']) for det in detections if det['image_id'] not in known})
    if unknown:
        raise ValueError(
            f'detections on {len(unknown)} images that are not in the ground truth (image ids {unknown[:3]}): are '
            'predictions and annotation file of the same images?'
        )
    number, chosen = _number(img_ids), set(cat_ids)
    kept = [det for det in detections if det['image_id'] in number and det['category_id'] in chosen]
    wanted = 'segmentation' if iou_type == 'segm' else 'bbox'
    areas = _detected_areas(kept, iou_type)
    annotations = [
        {
            'id': index + 1,
            'image_id': number[det['image_id']],
            'category_id': det['category_id'],
            'score': det['score'],
            wanted: det[wanted],
            'area': area,
            'iscrowd': 0,
        }
        for index, (det, area) in enumerate(zip(kept, areas))
    ]
    return _dataset(ground_truth, number, chosen, annotations)


def _number(img_ids: Sequence) -> dict:
    return {id: index + 1 for index, id in enumerate(sorted(set(img_ids)))}


def _dataset(ground_truth: dict, number: dict, cat_ids: set[int], annotations: list[dict]) -> dict:
    images = {
        number[image['id']]: {'id': number[image['id']], 'height': image.get('height'), 'width': image.get('width')}
        for image in ground_truth['images']
        if image['id'] in number
    }
    return {
        'images': [images[id] for id in sorted(images)],
        'categories': [{'id': id} for id in sorted(cat_ids)],
        'annotations': annotations,
    }


def _detected_areas(detections: list[dict], iou_type: str) -> list[float]:
    if iou_type == 'bbox':
        return [det['bbox'][2] * det['bbox'][3] for det in detections]
    # one by one: given more than 255 masks, pycocotools 2.0.11 overflows a uint8 under numpy 2
    return [float(mask_utils.area(det['segmentation'])) for det in detections]


def _area(ann: dict, image: dict) -> float:
    mask = ann.get('segmentation')
    if not mask:
        return ann['bbox'][2] * ann['bbox'][3]
    if isinstance(mask, list) or isinstance(mask['counts'], list):
        mask = mask_utils.frPyObjects(mask, image['height'], image['width'])
    return float(mask_utils.area(mask_utils.merge(mask) if isinstance(mask, list) else mask))
