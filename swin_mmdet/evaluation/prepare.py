"""Copies of ground truth and detections that every evaluator counts right.

The evaluators write into the dicts they are given, take annotation id 0 for 'not matched', keep one of two annotations
with the same id, and one of them wants whole numbers where files have text or 64.0. So each gets fresh dicts: images
and categories are numbered in the order of their ids (ties between equal scores are broken in that order),
annotations in the order of the file.
"""

import logging
from collections.abc import Hashable, Iterable, Sequence
from typing import Any

from mmengine.logging import print_log
from pycocotools import mask as mask_utils

from swin_mmdet.structures.segmentation import MaskError, readable_mask


def prepare_ground_truth(ground_truth: dict, img_ids: Sequence, cat_ids: Sequence, iou_type: str) -> dict:
    """COCO dict of the chosen images and categories, every annotation with 'id', 'area' and 'iscrowd'.

    Raises:
        ValueError: an annotation lacks the box ('bbox') or the mask ('segm'), or has one that cannot be read.
    """
    number, category = numbered(img_ids), numbered(cat_ids)
    dataset = _dataset(ground_truth, number, category)
    images = {image['id']: image for image in dataset['images']}
    wanted = 'segmentation' if iou_type == 'segm' else 'bbox'
    annotations, without_area, without_wanted, unreadable = dataset['annotations'], 0, [], []
    for ann in ground_truth.get('annotations', ()):
        if ann['image_id'] not in number or ann['category_id'] not in category:
            continue
        if not ann.get(wanted):
            without_wanted.append(ann.get('id'))
            continue
        image = images[number[ann['image_id']]]
        try:
            compared = _mask(ann[wanted], image) if iou_type == 'segm' else _box(ann[wanted])
            area = ann.get('area')
            if area is None:
                without_area += 1
                area = _area(ann, image)
            area, is_crowd = float(area), float(ann.get('iscrowd') or 0) != 0
        except (TypeError, ValueError) as error:
            unreadable.append(f'annotation {ann.get("id")}: {error}')
            continue
        annotations.append({
            'id': len(annotations) + 1,
            'image_id': image['id'],
            'category_id': category[ann['category_id']],
            wanted: compared,
            'area': area,
            'iscrowd': int(is_crowd),
        })
    if without_wanted:
        raise ValueError(
            f"{len(without_wanted)} annotations of the ground truth have no '{wanted}', which '{iou_type}' evaluation "
            f'compares (annotation ids {without_wanted[:3]})'
        )
    if unreadable:
        raise ValueError(
            f'{len(unreadable)} annotations of the ground truth cannot be read ({"; ".join(unreadable[:3])})'
        )
    if without_area:
        print_log(
            f"{without_area} annotations have no 'area'; the area of the mask, or of the box, decides which of them "
            'are small, medium and large',
            logger='current',
            level=logging.WARNING,
        )
    return dataset


def prepare_detections(
    ground_truth: dict, detections: Sequence[dict], img_ids: Sequence, cat_ids: Sequence, iou_type: str
) -> dict:
    """COCO dict of the detections on the chosen images and categories, with 'id', 'area' and 'iscrowd'.

    Raises:
        ValueError: a detection is on an image that the ground truth does not have.
    """
    known = {image['id'] for image in ground_truth['images']}
    unknown = sorted({str(det['image_id']) for det in detections if det['image_id'] not in known})
    if unknown:
        raise ValueError(
            f'detections on {len(unknown)} images that are not in the ground truth (image ids {unknown[:3]}, there are '
            f'ids such as {next(iter(known), None)!r}): are predictions and annotation file of the same images?'
        )
    number, category = numbered(img_ids), numbered(cat_ids)
    kept = [det for det in detections if det['image_id'] in number and det['category_id'] in category]
    wanted = 'segmentation' if iou_type == 'segm' else 'bbox'
    areas = _detected_areas(kept, iou_type)
    dataset = _dataset(ground_truth, number, category)
    if iou_type == 'segm':
        _warn_about_sizes(kept, {id: dataset['images'][index - 1] for id, index in number.items()})
    dataset['annotations'] = [
        {
            'id': index + 1,
            'image_id': number[det['image_id']],
            'category_id': category[det['category_id']],
            'score': float(det['score']),
            wanted: det[wanted],
            'area': area,
            'iscrowd': 0,
        }
        for index, (det, area) in enumerate(zip(kept, areas))
    ]
    return dataset


def numbered(ids: Iterable[Hashable]) -> dict:
    """Numbers from 1 on, in the order of the ids; ids of several types are ordered by type first."""
    distinct = set(ids)
    try:
        ordered = sorted(distinct)  # type: ignore[type-var]
    except TypeError:
        numbers = [id for id in distinct if isinstance(id, (int, float))]
        others = distinct - set(numbers)
        ordered = sorted(numbers) + sorted(others, key=lambda id: (type(id).__name__, str(id)))
    return {id: index + 1 for index, id in enumerate(ordered)}


def _dataset(ground_truth: dict, number: dict, category: dict) -> dict:
    images = {
        number[image['id']]: {
            'id': number[image['id']], 'height': _pixels(image, 'height'), 'width': _pixels(image, 'width'),
        }
        for image in ground_truth['images']
        if image['id'] in number
    }  # fmt: skip
    return {
        'images': [images[id] for id in sorted(images)],
        'categories': [{'id': id} for id in category.values()],
        'annotations': [],
    }


def _pixels(image: dict, side: str) -> int | None:
    """A height or width as a whole number, None without one: boxes need none."""
    value = image.get(side)
    try:
        return None if value is None else int(float(value))
    except (TypeError, ValueError) as error:
        raise ValueError(f'image {image["id"]} of the ground truth has {side} {value!r}, which is no number') from error


def _box(box: Sequence) -> list[float]:
    if len(box) != 4:
        raise ValueError(f'bbox has {len(box)} numbers, not x, y, width and height')
    return [float(value) for value in box]


def _mask(mask: Any, image: dict) -> list | dict:
    """The mask without what has no pixels: a first polygon of 2 points is a box to one evaluator."""
    if image['height'] is None or image['width'] is None:
        raise ValueError("its image has no 'height' and 'width'")
    readable = readable_mask(mask, image['height'], image['width'])
    if readable is None:
        raise MaskError('mask_unreadable')
    return readable if isinstance(readable, dict) else [polygon for polygon in mask if len(polygon) >= 6]


def _detected_areas(detections: list[dict], iou_type: str) -> list[float]:
    if iou_type == 'bbox':
        return [det['bbox'][2] * det['bbox'][3] for det in detections]
    # one by one: given more than 255 masks, pycocotools 2.0.11 overflows a uint8 under numpy 2
    return [float(mask_utils.area(det['segmentation'])) for det in detections]


def _warn_about_sizes(detections: list[dict], images: dict) -> None:
    """Masks of another size than the ground truth says match nothing in either evaluator."""
    other = {}
    for det in detections:
        image, size = images[det['image_id']], list(det['segmentation']['size'])
        if size != [image['height'], image['width']]:
            other.setdefault(det['image_id'], f'{det["image_id"]!r}: {size}, not {[image["height"], image["width"]]}')
    if other:
        print_log(
            f'masks of {len(other)} images are not of the [height, width] of the ground truth, so that none of them is '
            f'right ({"; ".join(list(other.values())[:3])}): are these the images that were annotated?',
            logger='current',
            level=logging.WARNING,
        )


def _area(ann: dict, image: dict) -> float:
    if not ann.get('segmentation'):
        _, _, width, height = _box(ann['bbox'])
        return width * height
    mask = _mask(ann['segmentation'], image)
    if isinstance(mask, list) or isinstance(mask['counts'], list):
        mask = mask_utils.frPyObjects(mask, image['height'], image['width'])
    return float(mask_utils.area(mask_utils.merge(mask) if isinstance(mask, list) else mask))
